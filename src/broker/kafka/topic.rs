//! The topic that servers share.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};

use super::client;
use crate::config;

/// Partitions of a topic that is made here. Of a channel's messages all are in one, in order.
const PARTITIONS: i32 = 8;

/// As many copies as the cluster makes of a topic for which no one says it.
const DEFAULT_REPLICATION: TopicReplication<'_> = TopicReplication::Fixed(-1);

/// The longest body that servers can be told to take, each of its characters escaped, and all that is around it.
pub(super) const RECORD_MAX_BYTES: &str = "2097152";

/// How long Kafka may take for one answer of those that a session begins with.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the topic unless it is there.
pub(super) async fn create_if_missing(topic: &config::KafkaTopic) -> KafkaResult<()> {
    let admin: AdminClient<DefaultClientContext> = client(topic).create()?;
    let topic = NewTopic::new(&topic.name, PARTITIONS, DEFAULT_REPLICATION)
        .set("max.message.bytes", RECORD_MAX_BYTES);
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_TIMEOUT));
    let options = options.request_timeout(Some(ANSWER_TIMEOUT));
    let created = admin.create_topics([&topic], &options).await?;
    match created.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            Err(KafkaError::AdminOp(code))
        }
        _ => Ok(()),
    }
}
