//! The way into Kafka.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    error::{KafkaError, KafkaResult},
    producer::{FutureProducer, FutureRecord, Producer as _, PurgeConfig, future_producer::DeliveryFuture},
};
use tokio::time::timeout;

use super::{
    client,
    topic::{ANSWER_TIMEOUT, RECORD_MAX_BYTES},
};
use crate::{
    broker::{Envelope, PublishError},
    config,
    telemetry::{labels::Direction, metrics::metrics},
};

/// Messages that librdkafka may hold, far more than a batch.
const QUEUE_MAX: &str = "16384";

/// Publishes to one topic.
#[derive(Clone)]
pub(super) struct Producer {
    client: FutureProducer,
    topic: Arc<str>,
    publish_timeout: Duration,
}

impl Producer {
    /// A producer that connects by itself.
    pub(super) fn new(config: &config::Kafka) -> Self {
        let mut client = client(&config.topic);
        client
            // It numbers what it sends, so that Kafka takes nothing twice or out of order when librdkafka sends it again.
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("queue.buffering.max.messages", QUEUE_MAX)
            .set("message.max.bytes", RECORD_MAX_BYTES)
            .set("message.timeout.ms", config.publish_timeout.as_millis().to_string());
        if let Some(linger) = config.linger {
            client.set("linger.ms", linger.as_millis().to_string());
        }
        let client = client.create().expect("librdkafka knows these settings");
        Self { client, topic: config.topic.name.as_str().into(), publish_timeout: config.publish_timeout }
    }

    /// Lets it find the topic before the first publish, which would be too late otherwise. Blocks.
    pub(super) fn connect(&self) -> KafkaResult<()> {
        self.client.client().fetch_metadata(Some(&self.topic), ANSWER_TIMEOUT).map(|_| ())
    }

    /// Publishes a batch in order, each channel's messages to one partition.
    pub(super) async fn publish(&self, batch: &[Envelope]) -> Result<(), PublishError> {
        let acknowledged = async {
            for acknowledged in self.enqueue(batch)? {
                acknowledged.await.map_err(|_| KafkaError::Canceled)?.map_err(|(error, _)| error)?;
            }
            Ok::<_, KafkaError>(())
        };
        match timeout(self.publish_timeout, acknowledged).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => tracing::debug!(%error, "publish failed"),
            Err(_) => tracing::debug!("publish was not acknowledged in time"),
        }
        // What has not gone yet need not: all of it will be published again.
        self.client.purge(PurgeConfig::default().queue());
        Err(PublishError::Failed)
    }

    fn enqueue(&self, batch: &[Envelope]) -> KafkaResult<Vec<DeliveryFuture>> {
        let enqueue = |envelope: &Envelope| {
            let payload = envelope.encode();
            metrics().broker_bytes.of(Direction::Out).increment(payload.len() as u64);
            let record = FutureRecord::to(&self.topic).key(&*envelope.message.channel).payload(&payload);
            self.client.send_result(record).map_err(|(error, _)| error)
        };
        batch.iter().map(enqueue).collect()
    }
}
