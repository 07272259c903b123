//! What runs between the lab's servers.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{
    cluster::Cluster,
    folder::Folder,
    kafka::{self, Kafka},
    redis::Redis,
};

/// The servers' way to one another, as `hopline serve --broker` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Broker {
    /// No way: for a single server.
    Local,
    /// One topic of Redis Pub/Sub.
    #[default]
    Redis,
    /// A topic for each channel.
    RedisChannels,
    /// Partitions of the channels on a Redis Cluster.
    RedisSharded,
    /// A transactional outbox and Kafka, woken by each commit.
    Kafka,
    /// The same as the decision describes it: the outbox is looked at once a second.
    KafkaAsWritten,
}

impl Broker {
    /// All of them, the simplest first.
    pub const ALL: &[Self] = &[
        Self::Local,
        Self::Redis,
        Self::RedisChannels,
        Self::RedisSharded,
        Self::Kafka,
        Self::KafkaAsWritten,
    ];

    /// The name that servers know.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Redis => "redis",
            Self::RedisChannels => "redis-channels",
            Self::RedisSharded => "redis-sharded",
            Self::Kafka => "kafka",
            Self::KafkaAsWritten => "kafka-as-written",
        }
    }

    /// Whether it is carried by Redis.
    pub(crate) const fn is_redis(self) -> bool {
        matches!(self, Self::Redis | Self::RedisChannels | Self::RedisSharded)
    }

    /// Whether it brings each message to all servers, wanted or not.
    pub(crate) const fn reaches_all(self) -> bool {
        !matches!(self, Self::RedisChannels | Self::RedisSharded)
    }

    /// How many servers meet over it where nothing else is asked for.
    pub(crate) const fn usual_servers(self) -> u16 {
        match self {
            Self::Local => 1,
            _ => 3,
        }
    }

    /// Why this machine can't run it, if so.
    pub(crate) fn impossible(self) -> Option<String> {
        let is_missing = self.is_kafka() && kafka::version().is_none();
        is_missing.then(|| "there is no Kafka here; `make kafka` brings it".to_owned())
    }

    /// Whether it is carried by Kafka.
    pub(crate) const fn is_kafka(self) -> bool {
        matches!(self, Self::Kafka | Self::KafkaAsWritten)
    }

    /// From the first message until it is as quick as it gets. Kafka's virtual machine compiles what it runs often, and
    /// fills a core with that meanwhile.
    pub(crate) const fn warm_up(self) -> Duration {
        if self.is_kafka() { Duration::from_secs(20) } else { Duration::ZERO }
    }

    /// Whether one Redis, whoever runs it, is enough.
    pub(super) const fn takes_a_redis(self) -> bool {
        matches!(self, Self::Redis | Self::RedisChannels)
    }

    /// The one that `HOPLINE_BROKER` names; the usual one if it names none.
    pub fn from_env() -> anyhow::Result<Self> {
        let name = std::env::var("HOPLINE_BROKER").unwrap_or_default();
        let found = Self::ALL.iter().copied().find(|broker| broker.name() == name);
        match found {
            None if name.is_empty() => Ok(Self::default()),
            found => found.with_context(|| format!("HOPLINE_BROKER: there is no broker {name:?}")),
        }
    }
}

/// Programs of the lab's own that carry messages between its servers.
#[derive(Debug)]
pub enum Backend {
    /// One Redis.
    Redis(Redis),
    /// A Redis Cluster.
    Cluster(Cluster),
    /// One Kafka.
    Kafka(Kafka),
}

impl Backend {
    /// Starts what a broker needs; none if that is nothing.
    pub(super) async fn launch(broker: Broker, folder: &Arc<Folder>) -> anyhow::Result<Option<Self>> {
        match broker {
            Broker::Local => Ok(None),
            Broker::Redis | Broker::RedisChannels => Ok(Some(Self::Redis(Redis::launch(folder).await?))),
            Broker::RedisSharded => Ok(Some(Self::Cluster(Cluster::launch(folder).await?))),
            Broker::Kafka | Broker::KafkaAsWritten => Ok(Some(Self::Kafka(Kafka::launch(folder).await?))),
        }
    }

    /// Environment variables that tell a server where it is. URLs hold passwords, which other users could read in arguments.
    pub(super) fn server_env(&self) -> Vec<(String, String)> {
        match self {
            Self::Redis(redis) => vec![("REDIS_URL".to_owned(), redis.url().to_owned())],
            Self::Cluster(cluster) => vec![("REDIS_URL".to_owned(), cluster.urls())],
            Self::Kafka(kafka) => vec![("KAFKA_BROKERS".to_owned(), kafka.address())],
        }
    }

    /// The process ids of what runs of it.
    pub fn pids(&self) -> Vec<u32> {
        match self {
            Self::Redis(redis) => redis.pid().into_iter().collect(),
            Self::Cluster(cluster) => cluster.nodes().iter().filter_map(Redis::pid).collect(),
            Self::Kafka(kafka) => kafka.pid().into_iter().collect(),
        }
    }

    /// Starts all of it again, where it was, and waits until it answers.
    pub async fn start(&self) -> anyhow::Result<()> {
        match self {
            Self::Redis(redis) => redis.start().await,
            Self::Cluster(cluster) => cluster.start().await,
            Self::Kafka(kafka) => kafka.start().await,
        }
    }

    /// Crashes all of it (SIGKILL).
    pub fn kill(&self) {
        match self {
            Self::Redis(redis) => redis.kill(),
            Self::Cluster(cluster) => cluster.nodes().iter().for_each(Redis::kill),
            Self::Kafka(kafka) => kafka.kill(),
        }
    }

    /// Stops all of it where it is (SIGSTOP): connections stay open, unanswered.
    pub fn freeze(&self) {
        match self {
            Self::Redis(redis) => redis.freeze(),
            Self::Cluster(cluster) => cluster.nodes().iter().for_each(Redis::freeze),
            Self::Kafka(kafka) => kafka.freeze(),
        }
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        match self {
            Self::Redis(redis) => redis.thaw(),
            Self::Cluster(cluster) => cluster.nodes().iter().for_each(Redis::thaw),
            Self::Kafka(kafka) => kafka.thaw(),
        }
    }
}
