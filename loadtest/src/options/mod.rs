//! The decision's options side by side: each way between servers under the same load, and what its outage does.

mod judge;
mod trial;

pub(crate) use judge::judge;
pub(crate) use trial::{Cost, Outage, Round, Trial};

use hopline::hop::Hop;

use crate::{lab::Broker, latency::Key};

/// Where the figures of `total` are.
pub(crate) fn total() -> Key {
    trial::key(Hop::Total)
}

/// Where those of `broadcast` are: what is measured on one clock.
pub(crate) fn broadcast() -> Key {
    trial::key(Hop::Broadcast)
}

/// What has to run, or to be there, beside the servers, as the decision counts it.
pub(crate) const fn components(broker: Broker) -> &'static [&'static str] {
    match broker {
        Broker::Local => &["PostgreSQL"],
        Broker::Redis | Broker::RedisChannels => &["PostgreSQL", "Redis"],
        Broker::RedisSharded => &["PostgreSQL", "Redis Cluster"],
        Broker::Kafka | Broker::KafkaAsWritten => &["PostgreSQL", "outbox", "relay", "Kafka"],
    }
}
