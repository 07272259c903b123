//! Where a hop can be delayed between two tasks.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Hold;
use crate::hop::Hop;

/// Messages that may be held in one line. What comes beyond that is not held.
const HELD_MAX: usize = 65_536;

/// Passes messages on, in order: at once, or through a task that holds them if faults can be switched.
pub struct Line<T> {
    forward: Arc<dyn Fn(T) + Send + Sync>,
    held: Option<mpsc::Sender<(u64, T)>>,
}

impl<T> Clone for Line<T> {
    fn clone(&self) -> Self {
        Self { forward: self.forward.clone(), held: self.held.clone() }
    }
}

impl<T: Send + 'static> Line<T> {
    /// A line in `hop`, before `forward`, which must not block.
    pub fn new(hop: Hop, forward: impl Fn(T) + Send + Sync + 'static) -> Self {
        let forward: Arc<dyn Fn(T) + Send + Sync> = Arc::new(forward);
        let hold = Hold::new(hop);
        let queue = hold.is_enabled().then(|| {
            let (sender, items) = mpsc::channel(HELD_MAX);
            tokio::spawn(release(hold, items, forward.clone()));
            sender
        });
        Self { forward, held: queue }
    }

    /// Passes on a message that came into the hop at `since_us`.
    pub fn pass(&self, since_us: u64, item: T) {
        let Some(held) = &self.held else {
            return (self.forward)(item);
        };
        if let Err(error) = held.try_send((since_us, item)) {
            let (_, item) = error.into_inner();
            (self.forward)(item);
        }
    }
}

/// Ends when the last clone of the line is dropped and nothing is held any more.
async fn release<T>(
    mut hold: Hold,
    mut items: mpsc::Receiver<(u64, T)>,
    forward: Arc<dyn Fn(T) + Send + Sync>,
) {
    while let Some((since_us, item)) = items.recv().await {
        hold.pass(since_us).await;
        forward(item);
    }
}
