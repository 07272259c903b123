//! What all tasks of a run share.

use std::{net::SocketAddr, sync::Arc};

use super::{Observer, Survival, Tally, Watch};
use crate::{
    client::Client,
    credentials::{Credentials, Need},
    identity::Identity,
    latency::Measure,
    metrics::Metrics,
    spans::Sampling,
};

/// The run's names, how far it has come, and who is told.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) credentials: Credentials,
    pub(crate) channels: Vec<String>,
    pub(crate) tally: Tally,
    pub(crate) sampling: Option<Sampling>,
    pub(crate) observer: Option<Observer>,
    /// Whether the run may end before its time.
    pub(crate) watch: Option<Watch>,
    /// The servers' addresses.
    pub(crate) servers: Vec<SocketAddr>,
    /// Whether and how clients outlast the loss of their connection.
    pub(crate) survival: Option<Arc<Survival>>,
}

impl Shared {
    /// A client that may have the messages of the run's channels.
    pub(super) async fn reader(&self, addr: SocketAddr, sender: &str) -> anyhow::Result<Client> {
        self.connect(addr, sender, Need::Read(&self.identity.channels())).await
    }

    /// A client that may publish to the run's channels.
    pub(super) async fn writer(&self, addr: SocketAddr, sender: &str) -> anyhow::Result<Client> {
        self.connect(addr, sender, Need::Write(&self.identity.channels())).await
    }

    async fn connect(&self, addr: SocketAddr, sender: &str, need: Need<'_>) -> anyhow::Result<Client> {
        let token = self.credentials.token(sender, need)?;
        Ok(Client::connect_as(addr, sender, token.as_ref()).await?)
    }

    /// What a message's frame carries.
    pub(super) fn traceparent(&self, index: u32) -> Option<String> {
        self.sampling.map(|sampling| sampling.traceparent(index))
    }

    /// A message is about to be written to the socket.
    pub(super) fn sent(&self, index: u32, sent_us: u32) {
        self.tally.sent();
        self.happened(Measure::SendLag, index, sent_us);
        if let Some(observer) = &self.observer {
            observer.sent(index, sent_us);
        }
    }

    pub(super) fn acknowledged(&self, index: u32, at_us: u32, (channel, seq): (usize, u64)) {
        self.tally.acknowledged(channel, seq);
        self.happened(Measure::Ack, index, at_us);
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

    /// A subscriber has left and will come back.
    pub(super) fn subscriber_away(&self, subscriber: usize, is_waited_for: bool) {
        if !is_waited_for {
            self.tally.subscriber_gone(subscriber);
        }
        if let Some(metrics) = self.metrics() {
            metrics.subscribers.dec();
        }
    }

    /// It is back.
    pub(super) fn subscriber_back(&self, subscriber: usize, position: u64) {
        self.tally.delivered(subscriber, position);
        if let Some(metrics) = self.metrics() {
            metrics.subscribers.inc();
        }
    }

    /// A subscriber has got something that it should not have got.
    pub(super) fn flawed(&self) {
        if let Some(watch) = &self.watch {
            watch.found();
        }
        if let Some(observer) = &self.observer {
            observer.live.flawed();
        }
    }

    /// Something of a message, for whoever watches the requirements.
    pub(super) fn happened(&self, measure: Measure, index: u32, at_us: u32) {
        if let Some(watch) = &self.watch {
            watch.happened(measure, index, at_us);
        }
    }

    fn metrics(&self) -> Option<&Metrics> {
        self.observer.as_ref()?.metrics.as_deref()
    }
}
