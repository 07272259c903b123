//! All drills.

use std::time::Duration;

use hopline::protocol::{CloseCode, ErrorCode};

use super::{Bound, Drill, Fault, Load, Sabotage, Sign};
use crate::lab::Broker;

const SECOND: Duration = Duration::from_secs(1);
/// Redis is back, and all is caught up; during its outage deliveries come through the database.
const BROKER: &[Bound] = &[Bound::DeliveredP99(SECOND), Bound::Healed(SECOND)];
/// A client whose server was killed is whole again.
const RECOVERED: Bound = Bound::Recovered(Duration::from_secs(2));
const LOST: Sign = Sign::Rises("hopline_broker_losses_total", "closed");
const HEALED: Sign = Sign::Rises("hopline_healed_messages_total", "");
/// What a database that is gone leads to.
const DATABASE_GONE: &[Bound] = &[
    Bound::RefusedWithin(Duration::from_millis(100)),
    Bound::NothingAcknowledged,
    Bound::Healed(Duration::from_secs(3)),
];
const UNAVAILABLE: Sign = Sign::Refused(ErrorCode::Unavailable);

/// What most drills have in common.
const USUAL: Drill = Drill {
    name: "",
    breaks: "",
    bounds: &[],
    signs: &[],
    fault: Fault::BrokerCrash,
    load: Load::USUAL,
    broker: Broker::Redis,
    sabotage: Sabotage::NoHeal,
    server_args: &[],
    odd_server_args: &[],
    database_bytes: None,
};

/// In the order in which `all` carries them out.
pub(crate) const DRILLS: &[Drill] = &[
    Drill {
        name: "redis-crash",
        breaks: "Redis is killed and started again after 5 s",
        bounds: BROKER,
        signs: &[LOST, HEALED],
        fault: Fault::BrokerCrash,
        sabotage: Sabotage::NoHeal,
        ..USUAL
    },
    Drill {
        name: "redis-freeze",
        breaks: "Redis stands still for 5 s, its connections open",
        bounds: BROKER,
        signs: &[Sign::Rises("hopline_broker_losses_total", "heartbeat"), HEALED],
        fault: Fault::BrokerFreeze,
        sabotage: Sabotage::NoHeal,
        ..USUAL
    },
    Drill {
        name: "redis-flap",
        breaks: "Redis is killed and started again every second, for 5 s",
        bounds: BROKER,
        signs: &[LOST, HEALED],
        fault: Fault::RedisFlap,
        sabotage: Sabotage::NoHeal,
        ..USUAL
    },
    Drill {
        name: "redis-drops-subscriber",
        breaks: "Redis drops its subscribers: first as told, then because bursts don't fit into their small buffers",
        bounds: BROKER,
        signs: &[LOST, HEALED],
        fault: Fault::RedisDropsSubscriber,
        load: Load { body_bytes: 1_000, ..Load::USUAL },
        sabotage: Sabotage::NoHeal,
        ..USUAL
    },
    Drill {
        name: "postgres-crash",
        breaks: "a backend of PostgreSQL is killed, from which it recovers by itself; then all of it, and it is started \
                 again after 5 s",
        bounds: DATABASE_GONE,
        signs: &[UNAVAILABLE, Sign::Falls("hopline_persist_connected")],
        fault: Fault::PostgresCrash,
        sabotage: Sabotage::AckBeforeCommit,
        ..USUAL
    },
    Drill {
        name: "postgres-freeze",
        breaks: "PostgreSQL stands still for 6 s, its connections open",
        bounds: DATABASE_GONE,
        signs: &[UNAVAILABLE, Sign::Rises("hopline_persist_retries_total", "connection")],
        fault: Fault::PostgresFreeze,
        load: Load { fault: Duration::from_secs(6), ..Load::USUAL },
        sabotage: Sabotage::NoRetries,
        ..USUAL
    },
    Drill {
        name: "postgres-slow",
        breaks: "every commit takes 50 ms longer, for 5 s",
        bounds: BROKER,
        signs: &[Sign::SlowAck(Duration::from_millis(50))],
        fault: Fault::PostgresSlow,
        sabotage: Sabotage::LoseAndNoHeal,
        ..USUAL
    },
    Drill {
        name: "disk-full",
        breaks: "the disk of the database is full for 5 s",
        bounds: &[Bound::Healed(Duration::from_secs(5))],
        signs: &[UNAVAILABLE, Sign::Rises("hopline_persist_retries_total", "connection")],
        fault: Fault::DiskFull,
        sabotage: Sabotage::NoRetries,
        database_bytes: Some(400 << 20),
        ..USUAL
    },
    Drill {
        name: "crash-after-commit",
        breaks: "a server dies between the COMMIT and the publish, and is started again after 5 s",
        bounds: &[RECOVERED, Bound::Healed(SECOND)],
        signs: &[Sign::Losses(1), Sign::Rises("hopline_publishes_total", "repeated")],
        fault: Fault::CrashAfterCommit,
        sabotage: Sabotage::AckBeforeCommitAndNoHeal,
        ..USUAL
    },
    Drill {
        name: "server-crash",
        breaks: "one of three servers is killed; its clients move, and it is started again after 5 s",
        bounds: &[RECOVERED, Bound::Healed(SECOND)],
        signs: &[Sign::Losses(50)],
        fault: Fault::ServerCrash,
        sabotage: Sabotage::NoRecovery,
        ..USUAL
    },
    Drill {
        name: "rolling-restart",
        breaks: "all servers are drained and started again, one after the other",
        bounds: &[RECOVERED, Bound::OnlyClosedBy(CloseCode::ShuttingDown), Bound::Healed(SECOND)],
        signs: &[Sign::Losses(150)],
        fault: Fault::RollingRestart,
        sabotage: Sabotage::NoRecovery,
        ..USUAL
    },
    Drill {
        name: "slow-client",
        breaks: "every eighth subscriber reads nothing for 10 s; the server closes them",
        bounds: &[Bound::Healed(Duration::from_secs(2))],
        signs: &[Sign::Rises("hopline_connections_closed_total", "slow_client"), Sign::Losses(1)],
        fault: Fault::SlowClient,
        load: Load {
            fault: Duration::from_secs(10),
            channels: 4,
            subscribers: 16,
            body_bytes: 4_000,
            // With less the kernel's buffers don't fill.
            quick_share: 1.0,
            ..Load::USUAL
        },
        sabotage: Sabotage::NoRecovery,
        server_args: &["--client-queue-max=256", "--recovered-max=200"],
        ..USUAL
    },
    Drill {
        name: "client-storm",
        breaks: "all clients of a server reconnect at once, every second for 5 s",
        bounds: &[RECOVERED, Bound::Healed(SECOND)],
        signs: &[Sign::Losses(200)],
        fault: Fault::ClientStorm,
        sabotage: Sabotage::NoRecovery,
        ..USUAL
    },
    Drill {
        name: "publish-storm",
        breaks: "the servers can store a tenth of what comes, for 5 s",
        bounds: &[Bound::Healed(Duration::from_secs(5))],
        signs: &[Sign::Refused(ErrorCode::Busy)],
        fault: Fault::PublishStorm,
        load: Load { rate_per_s: 1_500.0, ..Load::USUAL },
        sabotage: Sabotage::NoRetries,
        server_args: &["--persist-queue-max=100"],
        ..USUAL
    },
    Drill {
        name: "skewed-clock",
        breaks: "the clock of one of three servers is 50 ms ahead",
        bounds: BROKER,
        signs: &[],
        fault: Fault::SkewedClock,
        sabotage: Sabotage::LoseAndNoHeal,
        odd_server_args: &["--clock-shift-ms=50"],
        ..USUAL
    },
    Drill {
        name: "only-server-crash",
        breaks: "the only server, without a broker, is killed and started again after 5 s",
        // Until it is back there is nothing to recover from.
        bounds: &[Bound::Healed(Duration::from_secs(2))],
        signs: &[Sign::Losses(150)],
        fault: Fault::ServerCrash,
        broker: Broker::Local,
        sabotage: Sabotage::NoRecovery,
        ..USUAL
    },
    Drill {
        name: "master-crash",
        breaks: "one of three masters of a Redis Cluster is killed and started again after 5 s; its replica takes over",
        bounds: BROKER,
        signs: &[LOST, HEALED],
        fault: Fault::MasterCrash,
        broker: Broker::RedisSharded,
        ..USUAL
    },
    Drill {
        name: "kafka-crash",
        breaks: "Kafka is killed and started again after 5 s",
        // What waited in the outbox goes first, through a virtual machine that has just started.
        bounds: &[Bound::DeliveredP99(SECOND), Bound::Healed(Duration::from_secs(15))],
        signs: &[Sign::Rises("hopline_broker_losses_total", "heartbeat"), HEALED],
        fault: Fault::BrokerCrash,
        broker: Broker::Kafka,
        // Without healing alone, all comes out of the outbox, later.
        sabotage: Sabotage::LoseAndNoHeal,
        ..USUAL
    },
    Drill {
        name: "relay-crash",
        breaks: "the server that relays the outbox dies between Kafka's acknowledgement and the removal of the rows",
        bounds: &[RECOVERED, Bound::Healed(SECOND)],
        signs: &[Sign::Losses(50), Sign::Rises("hopline_arrivals_total", "duplicate")],
        fault: Fault::RelayCrash,
        broker: Broker::Kafka,
        sabotage: Sabotage::NoRecovery,
        ..USUAL
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_have_a_row_for_each_drill_in_the_same_order() {
        let document = include_str!("../../../docs/DRILLS.md");
        let (table, _) = document.split_once("## Measured").unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let drills = DRILLS.iter().map(|drill| drill.name);
        assert_eq!(rows.collect::<Vec<_>>(), drills.collect::<Vec<_>>());
    }
}
