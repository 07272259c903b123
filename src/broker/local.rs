//! No broker: what this server publishes comes in here and nowhere else. The baseline of a single server, and its single
//! point of failure.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Broker, BrokerEvent, Envelope, PublishError, arrivals::Arrivals};
use crate::telemetry::{labels::Direction, metrics::metrics};

/// See the module.
pub(super) struct LocalBroker(Arrivals);

impl LocalBroker {
    pub(super) fn start(events: mpsc::Sender<BrokerEvent>) -> Self {
        // The queue is empty and has room for it.
        let _ = events.try_send(BrokerEvent::Restored);
        metrics().broker_connected.set(1.0);
        Self(Arrivals::new(events))
    }
}

#[async_trait]
impl Broker for LocalBroker {
    async fn publish(&self, batch: &[Envelope]) -> Result<(), PublishError> {
        for envelope in batch {
            let payload = envelope.encode();
            metrics().broker_bytes.of(Direction::Out).increment(payload.len() as u64);
            self.0.take(payload);
        }
        Ok(())
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn reconnect(&self) {}
}
