//! What all tasks of a run share.

use super::{Observer, Tally};
use crate::{identity::Identity, metrics::Metrics, spans::Sampling};

/// The run's names, how far it has come, and who is told.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) channels: Vec<String>,
    pub(crate) tally: Tally,
    pub(crate) sampling: Option<Sampling>,
    pub(crate) observer: Option<Observer>,
}

impl Shared {
    /// What a message's frame carries.
    pub(super) fn traceparent(&self, index: u32) -> Option<String> {
        self.sampling.map(|sampling| sampling.traceparent(index))
    }

    /// A message is about to be written to the socket.
    pub(super) fn sent(&self, index: u32, sent_us: u32) {
        self.tally.sent();
        if let Some(observer) = &self.observer {
            observer.sent(index, sent_us);
        }
    }

    pub(super) fn acknowledged(&self, index: u32, at_us: u32, (channel, seq): (usize, u64)) {
        self.tally.acknowledged(channel, seq);
        if let Some(observer) = &self.observer {
            observer.acknowledged(index, at_us);
        }
    }

    pub(super) fn refused(&self) {
        self.tally.refused();
        if let Some(observer) = &self.observer {
            observer.refused();
        }
    }

    /// A publisher's connection has ended; so many of its messages will never be answered.
    pub(super) fn publisher_gone(&self, unanswerable: u64) {
        self.tally.unanswerable(unanswerable);
        if let Some(metrics) = self.metrics() {
            metrics.publishers.dec();
        }
    }

    pub(super) fn subscriber_gone(&self, subscriber: usize) {
        self.tally.subscriber_gone(subscriber);
        if let Some(metrics) = self.metrics() {
            metrics.subscribers.dec();
        }
    }

    fn metrics(&self) -> Option<&Metrics> {
        self.observer.as_ref()?.metrics.as_deref()
    }
}
