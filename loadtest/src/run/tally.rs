//! How far a run has come, kept by all its tasks without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// The position of a subscriber whose connection has ended: nothing more is waited for.
const GONE: u64 = u64::MAX;

/// Counters that all tasks of a run write and the drain reads. They steer; the verdict comes from the ledgers.
#[derive(Debug)]
pub(crate) struct Tally {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    /// Refused, or never to be answered.
    settled: AtomicU64,
    /// For each channel the highest acknowledged sequence number.
    acknowledged_seq: Vec<AtomicU64>,
    /// For each subscriber its channel, and the sequence number up to which it has everything.
    positions: Vec<(usize, AtomicU64)>,
}

impl Tally {
    /// For so many channels, and subscribers that listen to these channels.
    pub(crate) fn new(channels: usize, subscribers: impl Iterator<Item = usize>) -> Self {
        Self {
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            acknowledged_seq: (0..channels).map(|_| AtomicU64::new(0)).collect(),
            positions: subscribers.map(|channel| (channel, AtomicU64::new(0))).collect(),
        }
    }

    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn acknowledged(&self, channel: usize, seq: u64) {
        self.acknowledged_seq[channel].fetch_max(seq, Ordering::Relaxed);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.unanswerable(1);
    }

    /// So many messages will never be answered, since their publisher's connection has ended.
    pub(super) fn unanswerable(&self, messages: u64) {
        self.settled.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, subscriber: usize, position: u64) {
        self.positions[subscriber].1.store(position, Ordering::Relaxed);
    }

    pub(super) fn subscriber_gone(&self, subscriber: usize) {
        self.delivered(subscriber, GONE);
    }

    /// Messages sent so far.
    pub(super) fn sent_count(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Messages that were refused so far, or will never be answered.
    pub(super) fn settled_count(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    /// Messages acknowledged so far.
    pub(crate) fn acknowledged_count(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Whether every message has been answered, and delivered to all of its subscribers.
    pub(super) fn is_drained(&self) -> bool {
        self.answered() == self.sent_count()
            && self.positions.iter().all(|(channel, position)| {
                position.load(Ordering::Relaxed) >= self.acknowledged_seq[*channel].load(Ordering::Relaxed)
            })
    }

    /// Subscribers that lack an acknowledged message, each with the position at which it waits.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (usize, u64)> {
        let waiting = |(number, (channel, position)): (usize, &(usize, AtomicU64))| {
            let position = position.load(Ordering::Relaxed);
            let acknowledged = self.acknowledged_seq[*channel].load(Ordering::Relaxed);
            (position < acknowledged).then_some((number, position))
        };
        self.positions.iter().enumerate().filter_map(waiting)
    }

    /// A number that grows with every answer and every delivery in order.
    pub(super) fn progress(&self) -> u64 {
        self.positions
            .iter()
            .map(|(_, position)| position.load(Ordering::Relaxed))
            .fold(self.answered(), u64::wrapping_add)
    }

    fn answered(&self) -> u64 {
        self.acknowledged_count() + self.settled_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_drained_once_everything_is_answered_and_delivered() {
        let tally = Tally::new(2, [0, 1, 0].into_iter());
        assert!(tally.is_drained());
        tally.sent();
        assert!(!tally.is_drained());
        tally.acknowledged(0, 1);
        assert!(!tally.is_drained());
        tally.delivered(0, 1);
        assert!(!tally.is_drained());
        tally.subscriber_gone(2);
        assert!(tally.is_drained());
        tally.sent();
        tally.refused();
        assert!(tally.is_drained());
    }
}
