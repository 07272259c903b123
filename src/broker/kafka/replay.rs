//! Reading the topic once more, from an offset or a time up to where it ends.

use std::collections::HashMap;

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
};

use super::{
    consumer::{partitions_of, settings},
    topic::ANSWER_TIMEOUT,
};
use crate::{
    broker::{Envelope, MalformedEnvelope},
    config,
};

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// With this offset of each partition, or the first one that it still has.
    Offset(i64),
    /// With the first record of each partition that has this time, in milliseconds of Unix time, or a later one.
    TimeMs(i64),
}

/// A record, and where it is.
#[derive(Debug)]
pub struct Replayed {
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// What a server published.
    pub envelope: Result<Envelope, MalformedEnvelope>,
}

/// Why not everything was read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Kafka can't be reached, or refuses.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// It stopped bringing records.
    #[error("Kafka brought nothing for {ANSWER_TIMEOUT:?}; {0} partitions were not read to their end")]
    Silent(usize),
    /// What is read can't be passed on.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

/// Reads up to the ends that the partitions have now. Blocks.
pub fn replay(
    topic: &config::KafkaTopic,
    start: Start,
    mut each: impl FnMut(Replayed) -> std::io::Result<()>,
) -> Result<(), ReplayError> {
    let consumer: BaseConsumer = settings(topic).create()?;
    let (mut ends, starts) = bounds(&consumer, &topic.name, start)?;
    consumer.assign(&starts)?;
    while !ends.is_empty() {
        let record = consumer.poll(ANSWER_TIMEOUT).ok_or(ReplayError::Silent(ends.len()))??;
        let (partition, offset) = (record.partition(), record.offset());
        let Some(end) = ends.get(&partition).copied() else { continue };
        if offset < end {
            let envelope = Envelope::decode(record.payload().unwrap_or_default());
            each(Replayed { partition, offset, envelope })?;
        }
        if offset + 1 >= end {
            ends.remove(&partition);
        }
    }
    Ok(())
}

/// Of each partition that has anything to read, where that ends and where it starts.
fn bounds(
    consumer: &BaseConsumer,
    topic: &str,
    start: Start,
) -> KafkaResult<(HashMap<i32, i64>, TopicPartitionList)> {
    let (mut ends, mut starts) = (HashMap::new(), TopicPartitionList::new());
    for partition in partitions_of(consumer, topic, ANSWER_TIMEOUT)? {
        let (first, end) = consumer.fetch_watermarks(topic, partition, ANSWER_TIMEOUT)?;
        let start = match start {
            Start::Offset(offset) => offset.max(first),
            Start::TimeMs(ms) => offset_at(consumer, topic, partition, ms)?.unwrap_or(end),
        };
        if start < end {
            ends.insert(partition, end);
            starts.add_partition_offset(topic, partition, Offset::Offset(start))?;
        }
    }
    Ok((ends, starts))
}

/// The offset of the first record with this time or a later one; none if there is none.
fn offset_at(consumer: &BaseConsumer, topic: &str, partition: i32, ms: i64) -> KafkaResult<Option<i64>> {
    let mut times = TopicPartitionList::new();
    times.add_partition_offset(topic, partition, Offset::Offset(ms))?;
    let offsets = consumer.offsets_for_times(times, ANSWER_TIMEOUT)?;
    let found = offsets.find_partition(topic, partition).map(|found| found.offset());
    Ok(match found {
        Some(Offset::Offset(offset)) => Some(offset),
        _ => None,
    })
}
