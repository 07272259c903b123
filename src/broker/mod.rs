//! The way between servers: a message goes out once and comes in at every server, this one included.
//!
//! A broker may lose, repeat and reorder; `receive` makes up for it.

mod arrivals;
mod envelope;
mod kafka;
mod local;
mod redis;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use envelope::{Envelope, MalformedEnvelope};
pub use kafka::{ReplayError, Replayed, Start, replay};

use crate::{
    config,
    protocol::ChannelName,
    telemetry::{labels::DropReason, trace},
};

/// Messages that may wait for `receive`. What does not fit is dropped, counted and healed.
const EVENTS_MAX: usize = 4096;

/// What a broker tells `receive`.
#[derive(Debug)]
pub enum BrokerEvent {
    /// A message came in.
    Message(Incoming),
    /// Nothing comes in from now on: positions have to be watched closely.
    Lost,
    /// Subscriptions stand again; what was published in between did not come in.
    Restored,
}

impl BrokerEvent {
    /// When it came. What is no message is never held: it came long ago.
    pub fn received_us(&self) -> u64 {
        match self {
            Self::Message(incoming) => incoming.received_us,
            Self::Lost | Self::Restored => 0,
        }
    }
}

/// An encoded [`Envelope`], as the broker's read loop hands it over.
#[derive(Debug)]
pub struct Incoming {
    /// The bytes of the envelope.
    pub payload: Vec<u8>,
    /// When the read loop had it: `broadcast` ends here. See [`crate::clock::now_us`].
    pub received_us: u64,
    /// Whether messages before this one were dropped because `receive` was behind.
    pub after_overflow: bool,
}

/// Why a batch was not, or perhaps not, published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no connection; nothing was sent.
    #[error("the broker is disconnected")]
    Down,
    /// The broker refused or did not answer in time; part of the batch may have gone out.
    #[error("the broker failed or did not answer in time")]
    Failed,
}

impl PublishError {
    /// What metrics and spans say of it.
    pub fn reason(self) -> DropReason {
        match self {
            Self::Down => DropReason::BrokerDown,
            Self::Failed => DropReason::PublishFailed,
        }
    }
}

/// What every broker can do.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Publishes a batch, in order. Returns when the broker has acknowledged all of it; never takes longer
    /// than the configured limit.
    async fn publish(&self, batch: &[Envelope]) -> Result<(), PublishError>;

    /// Returns when the channel's messages come in, or when that can't be told: a broker that brings everything anyway
    /// has nothing to do, and one that is away will bring them once it is back.
    async fn subscribe(&self, _channel: &ChannelName) {}

    /// The channel's messages need not come in any more.
    fn unsubscribe(&self, _channel: &ChannelName) {}

    /// Whether messages come in.
    fn is_connected(&self) -> bool;

    /// Gives up a connection that seems up but brings nothing, and makes a new one.
    fn reconnect(&self);
}

/// Starts the configured broker, which connects by itself and never gives up. It stops when the receiver
/// of its events is dropped.
pub fn start(config: &config::Broker) -> (Arc<dyn Broker>, mpsc::Receiver<BrokerEvent>) {
    let (events, receiver) = mpsc::channel(EVENTS_MAX);
    trace::carried_by(match config {
        config::Broker::Local => "local",
        config::Broker::Redis(_) => "redis",
        config::Broker::Kafka(_) => "kafka",
    });
    let broker: Arc<dyn Broker> = match config {
        config::Broker::Local => Arc::new(local::LocalBroker::start(events)),
        config::Broker::Kafka(config) => Arc::new(kafka::KafkaBroker::start((**config).clone(), events)),
        config::Broker::Redis(config) => Arc::new(redis::RedisBroker::start((**config).clone(), events)),
    };
    (broker, receiver)
}
