//! The configuration: a struct for each concern, made from flags and environment variables.

mod args;
mod auth;
mod check;
mod files;
mod kafka;
mod redis;
mod services;

use std::{net::SocketAddr, time::Duration};

use sqlx::postgres::PgConnectOptions;

pub use args::{DatabaseArgs, KafkaArgs, ServeArgs};
pub use check::{ConfigErrors, Problem};

use crate::{
    listener,
    protocol::{Limits, SenderName},
    tls::Tls,
    token::{Secret, Verifier},
};

/// All that a server needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// This server's name, in `hello`, envelopes and logs. Unique among the servers.
    pub node: SenderName,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// TLS where clients connect; without it they talk plainly.
    pub tls: Option<Tls>,
    /// Where operators and Prometheus connect.
    pub admin_listen: SocketAddr,
    /// What both listeners allow.
    pub http: listener::Limits,
    /// How to reach PostgreSQL.
    pub database: Database,
    /// Whether the server brings the schema up to date; else it only looks whether it is.
    pub migrate: bool,
    /// The group commit.
    pub persist: Persist,
    /// The way between servers.
    pub broker: Broker,
    /// The relay that feeds it; without one `publish` does.
    pub outbox: Option<Outbox>,
    /// Order and healing.
    pub receive: Receive,
    /// Who comes in.
    pub auth: Auth,
    /// What a client may do.
    pub client: Client,
    /// Whether metrics are recorded.
    pub metrics: bool,
    /// Whether faults can be switched, from this machine.
    pub fault_switches: bool,
    /// Who brings this may switch them from elsewhere.
    pub admin_token: Option<Secret>,
    /// By how much this server's clock is ahead of the machine's, in milliseconds: a fault.
    pub clock_shift_ms: i64,
    /// How long the shutdown may take before what is left is cut off.
    pub shutdown_timeout: Duration,
}

/// How to reach PostgreSQL. The connection's options hold the password, and their `Debug` does not show it.
#[derive(Clone)]
pub struct Database {
    /// Address, credentials and session settings.
    pub options: PgConnectOptions,
    /// Connections for reading; each writer has one more.
    pub connections_max: u32,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = format!("{}:{}", self.options.get_host(), self.options.get_port());
        f.debug_struct("Database").field("address", &address).finish_non_exhaustive()
    }
}

/// The group commit.
#[derive(Debug, Clone, Copy)]
pub struct Persist {
    /// Writers, each with a connection of its own; a channel is pinned to one of them.
    pub writers: usize,
    /// Messages in one commit.
    pub batch_max: usize,
    /// Messages that may wait for a writer; one more is refused as `busy`.
    pub queue_max: usize,
    /// A message that would have to wait longer for its commit is refused as `busy`.
    pub wait_max: Duration,
    /// How long a batch is tried, reconnections included, before its publishers are told `unavailable`.
    pub timeout: Duration,
    /// Whether a relay publishes what is committed, from the outbox.
    pub to_outbox: bool,
}

/// The way between servers.
#[derive(Debug, Clone)]
pub enum Broker {
    /// There is one server.
    Local,
    /// Redis Pub/Sub.
    Redis(Box<Redis>),
    /// Apache Kafka, fed by a relay.
    Kafka(Box<Kafka>),
}

/// A topic of Apache Kafka.
#[derive(Debug, Clone)]
pub struct KafkaTopic {
    /// Where to ask for all servers of Kafka: HOST:PORT, and more after commas.
    pub brokers: String,
    /// The topic that servers share.
    pub name: String,
}

/// Apache Kafka.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// Where messages go.
    pub topic: KafkaTopic,
    /// How long a publish waits for others to go with it; what librdkafka does by itself, if not said.
    pub linger: Option<Duration>,
    /// Metadata is asked for this often, and Kafka taken for lost if the answer takes as long again.
    pub heartbeat: Duration,
    /// How long a publish may take.
    pub publish_timeout: Duration,
}

/// The relay from the outbox to the broker.
#[derive(Debug, Clone, Copy)]
pub struct Outbox {
    /// Whether commits wake it. It looks every [`Self::LOOK_EVERY`] anyway.
    pub woken: bool,
}

impl Outbox {
    /// How often the relay looks by itself.
    pub const LOOK_EVERY: Duration = Duration::from_secs(1);

    /// How long what is committed may wait for the relay while all is well.
    pub(super) fn lag(self) -> Duration {
        if self.woken { Duration::ZERO } else { 2 * Self::LOOK_EVERY }
    }
}

/// Which topics there are.
#[derive(Debug, Clone)]
pub enum Topics {
    /// One, of which every server receives everything.
    One(String),
    /// One for each channel, with this before the channel's name.
    EachChannel(String),
    /// Some, over which a cluster spreads and each channel falls to one. All servers must have as many.
    Partitions {
        /// What stands before the number.
        prefix: String,
        /// How many there are.
        count: u16,
    },
}

/// Redis Pub/Sub.
#[derive(Clone)]
pub struct Redis {
    /// Addresses and credentials: of one Redis, or of nodes of a cluster, of which any finds the others.
    pub nodes: Vec<::redis::Client>,
    /// The topics that servers share.
    pub topics: Topics,
    /// A `PING` is sent this often, and the connection given up if the answer takes as long again.
    pub heartbeat: Duration,
    /// How long a publish may take.
    pub publish_timeout: Duration,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = |node: &::redis::Client| node.get_connection_info().addr().to_string();
        f.debug_struct("Redis")
            .field("addresses", &self.nodes.iter().map(address).collect::<Vec<_>>())
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

/// Order and healing.
#[derive(Debug, Clone, Copy)]
pub struct Receive {
    /// How long a gap may wait for the broker before it is healed from PostgreSQL.
    pub gap_patience: Duration,
    /// How long the broker may need for what is committed, beside that: where the relay just looks now and then.
    pub relay_lag: Duration,
    /// How often positions are compared with the channels' counters.
    pub check_interval: Duration,
    /// How often while the broker is down.
    pub check_interval_down: Duration,
}

/// Who comes in.
#[derive(Debug, Clone)]
pub struct Auth {
    /// What tokens are verified with. Without it anyone comes in, under any name.
    pub verifier: Option<Verifier>,
    /// The origins whose pages are served, as browsers spell them.
    pub origins: Vec<String>,
}

/// What a client may do.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// The limits that `hello` states.
    pub limits: Limits,
    /// Frames that may wait for a client's socket; with one more the client is closed as slow.
    pub queue_max: usize,
    /// Bytes of frames that may wait for all clients' sockets; with more, clients with a long queue are closed as slow.
    pub waiting_bytes_max: usize,
    /// How long a client that has brought no token may take for its first frame.
    pub auth_timeout: Duration,
}

/// What these flags make, beside two URLs that they may override.
#[cfg(test)]
fn parsed<'a>(flags: impl IntoIterator<Item = &'a str>) -> Result<Config, ConfigErrors> {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }
    let urls = ["hopline", "--database-url=postgres://u:secret@h/d", "--redis-url=redis://:secret@h/"];
    let cli = <Cli as clap::Parser>::parse_from(urls.into_iter().chain(flags));
    Config::new(&cli.serve)
}
