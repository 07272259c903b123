//! The way out of Kafka.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult},
    metadata::MetadataPartition,
    types::RDKafkaErrorCode,
};
use tokio::task::spawn_blocking;

use super::{client, topic::ANSWER_TIMEOUT};
use crate::{broker::arrivals::Arrivals, config};

/// How long the reading thread waits for a message before it looks whether it is to end.
const POLL_LIMIT: Duration = Duration::from_millis(100);

const FETCH_WAIT_MAX: Duration = Duration::from_millis(100);

/// What came and was not read yet, at most. It is read at once.
const QUEUE_KIB_MAX: &str = "16384";

/// Reads all partitions of a topic on a thread of its own, until it is dropped.
pub(super) struct Consumer {
    /// The thread owns it: to close it can take a while, and blocks.
    client: Weak<BaseConsumer>,
    topic: String,
    partitions: usize,
    ended: Arc<AtomicBool>,
}

/// What became of a heartbeat.
pub(super) enum Beat {
    /// Kafka knows the topic, and all its partitions have a leader.
    Answered,
    /// There is no answer in time, or a partition that can't be read now.
    Unanswered,
    /// The topic is gone, or has other partitions than those that are read.
    OtherTopic,
}

impl Consumer {
    /// Reads what comes after this call began: the ends are looked up before it returns. Blocks.
    pub(super) fn open(config: &config::Kafka, arrivals: Arrivals) -> KafkaResult<Self> {
        let topic = &config.topic;
        let fetch_wait = fetch_wait(config.heartbeat).as_millis().to_string();
        let consumer: BaseConsumer = settings(topic).set("fetch.wait.max.ms", fetch_wait).create()?;
        let ends = ends(&consumer, &topic.name)?;
        consumer.assign(&ends)?;
        let (consumer, ended) = (Arc::new(consumer), Arc::new(AtomicBool::new(false)));
        let opened = Self {
            client: Arc::downgrade(&consumer),
            topic: topic.name.clone(),
            partitions: ends.count(),
            ended: ended.clone(),
        };
        let reading = move || read(&consumer, &arrivals, &ended);
        thread::Builder::new().name("kafka".into()).spawn(reading).expect("a thread can be started");
        Ok(opened)
    }

    /// Asks for the topic's metadata.
    pub(super) async fn beat(&self, limit: Duration) -> Beat {
        let (client, topic, partitions) = (self.client.clone(), self.topic.clone(), self.partitions);
        let beat = spawn_blocking(move || {
            let Some(consumer) = client.upgrade() else { return Beat::OtherTopic };
            match partitions_of(&consumer, &topic, limit) {
                Ok(found) if found.len() == partitions => Beat::Answered,
                Ok(_) | Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)) => {
                    Beat::OtherTopic
                }
                Err(error) => {
                    tracing::debug!(%error, "no heartbeat");
                    Beat::Unanswered
                }
            }
        });
        beat.await.expect("a heartbeat does not panic")
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// How long Kafka may keep a fetch while there are no messages. A heartbeat on the same connection is answered after it.
fn fetch_wait(heartbeat: Duration) -> Duration {
    FETCH_WAIT_MAX.min(heartbeat / 4)
}

/// The settings of whoever reads a topic without being in a group.
pub(super) fn settings(topic: &config::KafkaTopic) -> ClientConfig {
    let mut settings = client(topic);
    settings
        // librdkafka wants a name to assign partitions under; no one ever joins.
        .set("group.id", "hopline")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Where the log does not reach back so far: the rest is healed.
        .set("auto.offset.reset", "latest")
        .set("fetch.error.backoff.ms", "50")
        .set("queued.max.messages.kbytes", QUEUE_KIB_MAX);
    settings
}

/// The numbers of a topic's partitions. Fails if any has no leader.
pub(super) fn partitions_of(consumer: &BaseConsumer, topic: &str, limit: Duration) -> KafkaResult<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), limit)?;
    let topic = metadata.topics().first();
    let topic = topic.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition))?;
    let errors =
        topic.error().into_iter().chain(topic.partitions().iter().filter_map(MetadataPartition::error));
    match errors.map(RDKafkaErrorCode::from).next() {
        Some(code) => Err(KafkaError::MetadataFetch(code)),
        None => Ok(topic.partitions().iter().map(MetadataPartition::id).collect()),
    }
}

fn ends(consumer: &BaseConsumer, topic: &str) -> KafkaResult<TopicPartitionList> {
    let mut ends = TopicPartitionList::new();
    for partition in partitions_of(consumer, topic, ANSWER_TIMEOUT)? {
        let (_, end) = consumer.fetch_watermarks(topic, partition, ANSWER_TIMEOUT)?;
        ends.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    Ok(ends)
}

/// Hands over what comes, and never waits for anyone.
fn read(consumer: &BaseConsumer, arrivals: &Arrivals, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        match consumer.poll(POLL_LIMIT) {
            Some(Ok(message)) => arrivals.take(message.payload().unwrap_or_default().to_vec()),
            // librdkafka goes on by itself; what that costs the heartbeat finds out.
            Some(Err(error)) => tracing::debug!(%error, "could not read"),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_has_time_left_behind_a_fetch() {
        for heartbeat in [10, 100, 500, 60_000].map(Duration::from_millis) {
            let wait = fetch_wait(heartbeat);
            assert!(wait > Duration::from_millis(1) && wait * 4 <= heartbeat, "{heartbeat:?}: {wait:?}");
        }
    }
}
