//! A queue whose messages can be held before they are taken.

use tokio::sync::mpsc;

use super::{Hold, hold::Stay};
use crate::hop::Hop;

/// The receiving end of a stage's queue. What is held stays in the queue, or is the one that is next: so its limit and its
/// gauge hold as ever.
pub struct Queue<T> {
    items: mpsc::Receiver<T>,
    hold: Hold,
    since_us: fn(&T) -> u64,
    next: Option<(T, Stay)>,
}

impl<T> Queue<T> {
    /// Messages of `hop`, which came into it at `since_us`.
    pub fn new(hop: Hop, items: mpsc::Receiver<T>, since_us: fn(&T) -> u64) -> Self {
        Self { items, hold: Hold::new(hop), since_us, next: None }
    }

    /// As [`mpsc::Receiver::recv`].
    pub async fn recv(&mut self) -> Option<T> {
        if self.next.is_none() {
            let item = self.items.recv().await?;
            if !self.hold.is_on() {
                return Some(item);
            }
            self.next = Some(self.arrived(item));
        }
        let (_, stay) = self.next.as_ref()?;
        self.hold.until_over(*stay).await;
        self.next.take().map(|(item, _)| item)
    }

    /// As [`mpsc::Receiver::recv_many`].
    pub async fn recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        let Some(first) = self.recv().await else {
            return 0;
        };
        buffer.push(first);
        let mut count = 1;
        while count < limit && self.next.is_none() {
            let Ok(item) = self.items.try_recv() else { break };
            let (item, stay) = self.arrived(item);
            if self.hold.end_if_over(stay) {
                buffer.push(item);
                count += 1;
            } else {
                self.next = Some((item, stay));
            }
        }
        count
    }

    /// As [`mpsc::Receiver::try_recv`], whether it may go on or not.
    pub fn take_held(&mut self) -> Option<T> {
        self.next.take().map(|(item, _)| item).or_else(|| self.items.try_recv().ok())
    }

    /// Whether a message is held that may not go on yet.
    pub fn is_holding(&self) -> bool {
        self.next.is_some()
    }

    /// As [`mpsc::Receiver::close`].
    pub fn close(&mut self) {
        self.items.close();
    }

    /// As [`mpsc::Receiver::is_closed`].
    pub fn is_closed(&self) -> bool {
        self.items.is_closed()
    }

    fn arrived(&self, item: T) -> (T, Stay) {
        let stay = self.hold.begin((self.since_us)(&item));
        (item, stay)
    }
}
