//! Apache Kafka: one topic, of which every server reads all partitions by itself, from their ends on. There is no group, and
//! no offset is committed: what a server missed it heals from PostgreSQL, as ever.
//!
//! librdkafka connects again by itself and says nothing of it. So a supervisor asks for metadata in a fixed interval; when the
//! answers come again, reading has gone on where it was, and nothing is lost.

mod consumer;
mod producer;
mod replay;
mod topic;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::{ClientConfig, error::KafkaResult};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::spawn_blocking,
    time::sleep,
};

use super::{Broker, BrokerEvent, Envelope, PublishError, arrivals::Arrivals};
pub use replay::{ReplayError, Replayed, Start, replay};

use crate::{
    config,
    telemetry::{labels::BrokerLoss, metrics::metrics},
};
use consumer::{Beat, Consumer};
use producer::Producer;

const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct KafkaBroker {
    producer: Producer,
    connected: watch::Receiver<bool>,
    deaf: Arc<Notify>,
}

impl KafkaBroker {
    /// Starts the supervisor, which ends when the receiver of `events` is dropped.
    pub(super) fn start(config: config::Kafka, events: mpsc::Sender<BrokerEvent>) -> Self {
        let (connected_slot, connected) = watch::channel(false);
        let broker = Self { producer: Producer::new(&config), connected, deaf: Arc::default() };
        let (producer, deaf) = (broker.producer.clone(), broker.deaf.clone());
        tokio::spawn(Supervisor { config, events, producer, connected: connected_slot, deaf }.run());
        broker
    }
}

#[async_trait]
impl Broker for KafkaBroker {
    async fn publish(&self, batch: &[Envelope]) -> Result<(), PublishError> {
        if !self.is_connected() {
            return Err(PublishError::Down);
        }
        self.producer.publish(batch).await
    }

    fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    fn reconnect(&self) {
        self.deaf.notify_waiters();
    }
}

struct Supervisor {
    config: config::Kafka,
    events: mpsc::Sender<BrokerEvent>,
    producer: Producer,
    connected: watch::Sender<bool>,
    deaf: Arc<Notify>,
}

impl Supervisor {
    async fn run(self) {
        while !self.events.is_closed() {
            match self.open().await {
                Ok(consumer) => self.keep(consumer).await,
                Err(error) => {
                    tracing::warn!(%error, "Kafka can't be reached; trying again");
                    metrics().broker_losses.of(BrokerLoss::Closed).increment(1);
                }
            }
            tokio::select! {
                () = sleep(RECONNECT_PAUSE) => {}
                () = self.events.closed() => {}
            }
        }
    }

    /// A consumer that reads from the ends of the topic, which is made if it is missing, and a producer that knows it.
    async fn open(&self) -> KafkaResult<Consumer> {
        topic::create_if_missing(&self.config.topic).await?;
        let (config, producer) = (self.config.clone(), self.producer.clone());
        let arrivals = Arrivals::new(self.events.clone());
        let opening = spawn_blocking(move || {
            let consumer = Consumer::open(&config, arrivals)?;
            producer.connect()?;
            Ok(consumer)
        });
        opening.await.expect("opening does not panic")
    }

    /// Lets the server use a consumer until it has to be replaced.
    async fn keep(&self, consumer: Consumer) {
        loop {
            tracing::info!("reading from Kafka");
            self.connected.send_replace(true);
            metrics().broker_connected.set(1.0);
            let _ = self.events.send(BrokerEvent::Restored).await;

            let loss = tokio::select! {
                loss = self.broken(&consumer) => loss,
                () = self.deaf.notified() => BrokerLoss::Deaf,
                () = self.events.closed() => return,
            };

            self.connected.send_replace(false);
            metrics().broker_connected.set(0.0);
            metrics().broker_losses.of(loss).increment(1);
            tracing::warn!(reason = ?loss, "lost Kafka; messages are healed from PostgreSQL meanwhile");
            let _ = self.events.send(BrokerEvent::Lost).await;
            if loss != BrokerLoss::Heartbeat || !self.is_back(&consumer).await {
                return;
            }
        }
    }

    /// Returns once the consumer is of no use, for now or for ever.
    async fn broken(&self, consumer: &Consumer) -> BrokerLoss {
        loop {
            sleep(self.config.heartbeat).await;
            match consumer.beat(self.config.heartbeat).await {
                Beat::Answered => {}
                Beat::Unanswered => return BrokerLoss::Heartbeat,
                Beat::OtherTopic => return BrokerLoss::Closed,
            }
        }
    }

    /// Waits until the consumer can go on; returns whether it can at all.
    async fn is_back(&self, consumer: &Consumer) -> bool {
        loop {
            let beat = tokio::select! {
                beat = consumer.beat(self.config.heartbeat) => beat,
                () = self.events.closed() => return false,
            };
            match beat {
                Beat::Answered => return true,
                Beat::Unanswered => sleep(RECONNECT_PAUSE).await,
                Beat::OtherTopic => return false,
            }
        }
    }
}

/// What all clients of librdkafka share here.
fn client(topic: &config::KafkaTopic) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &topic.brokers)
        .set("client.id", "hopline")
        // By itself it would wait up to 10 s between two attempts.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("socket.nagle.disable", "true");
    client
}
