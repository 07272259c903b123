//! Where a message is held that nothing else would hold: between two calls.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Hold;
use crate::hop::Hop;

/// Messages that may be held in one line.
const HELD_MAX: usize = 4096;

/// Passes messages on, in order: at once, or through a task that holds them while a fault is switched on.
pub struct Line<T> {
    forward: Arc<dyn Fn(T) + Send + Sync>,
    held: Option<Arc<Held<T>>>,
}

struct Held<T> {
    hold: Hold,
    queue: mpsc::Sender<(u64, T)>,
    /// In the queue, or in the task's hands.
    count: Arc<AtomicUsize>,
    _dropped: DropGuard,
}

impl<T> Clone for Line<T> {
    fn clone(&self) -> Self {
        Self { forward: self.forward.clone(), held: self.held.clone() }
    }
}

impl<T: Send + 'static> Line<T> {
    /// A line in `hop`, before `forward`, which must not block. What is held when the last clone is dropped is
    /// dropped as well.
    pub fn new(hop: Hop, forward: impl Fn(T) + Send + Sync + 'static) -> Self {
        let forward: Arc<dyn Fn(T) + Send + Sync> = Arc::new(forward);
        let held = super::is_enabled().then(|| {
            let (queue, items) = mpsc::channel(HELD_MAX);
            let (count, dropped) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
            let release = release(Hold::new(hop), items, forward.clone(), count.clone());
            tokio::spawn(dropped.clone().run_until_cancelled_owned(release));
            Arc::new(Held { hold: Hold::new(hop), queue, count, _dropped: dropped.drop_guard() })
        });
        Self { forward, held }
    }

    /// Passes on a message that came into the hop at `since_us`; gives it back if too many are held.
    pub fn pass(&self, since_us: u64, item: T) -> Result<(), T> {
        match &self.held {
            Some(held) if held.hold.is_on() || held.count.load(Ordering::Acquire) > 0 => {
                held.count.fetch_add(1, Ordering::AcqRel);
                held.queue.try_send((since_us, item)).map_err(|error| {
                    held.count.fetch_sub(1, Ordering::AcqRel);
                    error.into_inner().1
                })
            }
            _ => {
                (self.forward)(item);
                Ok(())
            }
        }
    }
}

async fn release<T>(
    mut hold: Hold,
    mut items: mpsc::Receiver<(u64, T)>,
    forward: Arc<dyn Fn(T) + Send + Sync>,
    count: Arc<AtomicUsize>,
) {
    while let Some((since_us, item)) = items.recv().await {
        let stay = hold.begin(since_us);
        hold.until_over(stay).await;
        forward(item);
        count.fetch_sub(1, Ordering::AcqRel);
    }
}
