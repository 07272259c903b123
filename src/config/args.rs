//! The flags and environment variables of `hopline serve` and `hopline migrate`.

use std::path::PathBuf;

use clap::Args;

/// Values are taken as text, so that everything wrong with them can be reported at once.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ServeArgs {
    /// This server's name; must differ from the other servers' [default: made up]
    #[arg(long, env = "HOPLINE_NODE", value_name = "NAME")]
    pub(super) node: Option<String>,

    /// Address for clients; port 0 takes a free one
    #[arg(long, env = "HOPLINE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: String,

    /// PEM file with the certificate for clients and those that lead to an authority: clients then talk TLS
    #[arg(long, env = "HOPLINE_TLS_CERT_FILE", value_name = "FILE")]
    pub(super) tls_cert_file: Option<PathBuf>,

    /// PEM file with the certificate's key
    #[arg(long, env = "HOPLINE_TLS_KEY_FILE", value_name = "FILE")]
    pub(super) tls_key_file: Option<PathBuf>,

    /// Address for operators and Prometheus
    #[arg(long, env = "HOPLINE_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub(super) admin_listen: String,

    /// Connections that speak HTTP at a time, on each address; WebSockets don't count
    #[arg(long, env = "HOPLINE_HTTP_CONNECTIONS_MAX", value_name = "N", default_value = "1024")]
    pub(super) http_connections_max: String,

    /// How long a client may take for a TLS handshake, for the head of a request and for its body, and take nothing of an answer
    #[arg(long, env = "HOPLINE_REQUEST_TIMEOUT_MS", value_name = "MS", default_value = "10000")]
    pub(super) request_timeout_ms: String,

    #[command(flatten)]
    pub(super) database: DatabaseArgs,

    /// Leave the schema to `hopline migrate`: the server's role need not own it
    #[arg(long, env = "HOPLINE_NO_MIGRATE")]
    pub(super) no_migrate: bool,

    /// Connections for reading from PostgreSQL
    #[arg(long, env = "HOPLINE_DATABASE_CONNECTIONS", value_name = "N", default_value = "8")]
    pub(super) database_connections: String,

    /// The way between servers: `redis` (one topic), `redis-channels` (a topic for each channel), `redis-sharded` (partitions of the
    /// channels on a Redis Cluster), `kafka` (fed from an outbox by a relay, which commits wake), `kafka-as-written` (the
    /// relay looks each second) or `local` (one server, no way)
    #[arg(long, env = "HOPLINE_BROKER", value_name = "NAME", default_value = "redis")]
    pub(super) broker: String,

    /// Redis: redis://USER:PASSWORD@HOST:PORT/, or rediss:// for TLS; of a cluster some nodes, separated by commas
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub(super) redis_url: Option<String>,

    /// File with the password for Redis, instead of one in the URL
    #[arg(long, env = "HOPLINE_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub(super) redis_password_file: Option<PathBuf>,

    /// PEM file with the only authorities that may vouch for Redis [default: the public ones]
    #[arg(long, env = "HOPLINE_REDIS_CA_FILE", value_name = "FILE")]
    pub(super) redis_ca_file: Option<PathBuf>,

    /// Redis Pub/Sub topic that all servers share, or what stands before each channel's name, or before a partition's number
    #[arg(long, env = "HOPLINE_REDIS_TOPIC", value_name = "TOPIC", default_value = "hopline")]
    pub(super) redis_topic: String,

    /// Partitions of the channels for `redis-sharded`; all servers must have as many
    #[arg(long, env = "HOPLINE_REDIS_PARTITIONS", value_name = "N", default_value = "128")]
    pub(super) redis_partitions: String,
    #[command(flatten)]
    pub(super) kafka: KafkaArgs,

    /// Interval of the heartbeat on the broker connection
    #[arg(long, env = "HOPLINE_BROKER_HEARTBEAT_MS", value_name = "MS", default_value = "500")]
    pub(super) broker_heartbeat_ms: String,

    /// Limit of a publish to the broker; what is late is healed by the receivers, or relayed again
    #[arg(long, env = "HOPLINE_PUBLISH_TIMEOUT_MS", value_name = "MS", default_value = "250")]
    pub(super) publish_timeout_ms: String,

    /// Writers, each with its PostgreSQL connection; a channel is pinned to one
    #[arg(long, env = "HOPLINE_PERSIST_WRITERS", value_name = "N", default_value = "1")]
    pub(super) persist_writers: String,

    /// Messages in one commit, at most
    #[arg(long, env = "HOPLINE_PERSIST_BATCH_MAX", value_name = "N", default_value = "256")]
    pub(super) persist_batch_max: String,

    /// Messages that may wait for a writer, at most
    #[arg(long, env = "HOPLINE_PERSIST_QUEUE_MAX", value_name = "N", default_value = "4096")]
    pub(super) persist_queue_max: String,

    /// A message that would have to wait longer for its commit is refused as busy
    #[arg(long, env = "HOPLINE_PERSIST_WAIT_MAX_MS", value_name = "MS", default_value = "500")]
    pub(super) persist_wait_max_ms: String,

    /// Limit of a commit, reconnections included
    #[arg(long, env = "HOPLINE_PERSIST_TIMEOUT_MS", value_name = "MS", default_value = "2000")]
    pub(super) persist_timeout_ms: String,

    /// How long a gap waits for the broker before it is healed from PostgreSQL
    #[arg(long, env = "HOPLINE_GAP_PATIENCE_MS", value_name = "MS", default_value = "20")]
    pub(super) gap_patience_ms: String,

    /// Interval of the comparison of positions with the counters
    #[arg(long, env = "HOPLINE_CHECK_INTERVAL_MS", value_name = "MS", default_value = "2000")]
    pub(super) check_interval_ms: String,

    /// The same while the broker is down
    #[arg(long, env = "HOPLINE_CHECK_INTERVAL_DOWN_MS", value_name = "MS", default_value = "250")]
    pub(super) check_interval_down_ms: String,

    /// Who comes in: whoever reaches the server, under any name (none), or bearers of tokens (jwt)
    #[arg(long, env = "HOPLINE_AUTH", value_name = "none|jwt", default_value = "none")]
    pub(super) auth: String,

    /// Take clients without tokens on an address that others reach
    #[arg(long, env = "HOPLINE_LET_ANYONE_IN")]
    pub(super) let_anyone_in: bool,

    /// File with the secret of tokens (HS256), at least 32 bytes
    #[arg(long, env = "HOPLINE_JWT_SECRET_FILE", value_name = "FILE")]
    pub(super) jwt_secret_file: Option<String>,

    /// File with the public key of tokens (Ed25519), in PEM
    #[arg(long, env = "HOPLINE_JWT_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub(super) jwt_public_key_file: Option<String>,

    /// Who issues tokens: their claim `iss`
    #[arg(long, env = "HOPLINE_JWT_ISSUER", value_name = "NAME")]
    pub(super) jwt_issuer: Option<String>,

    /// Whom tokens are for: their claim `aud`
    #[arg(long, env = "HOPLINE_JWT_AUDIENCE", value_name = "NAME")]
    pub(super) jwt_audience: Option<String>,

    /// How long a client that has brought no token may take for its first frame
    #[arg(long, env = "HOPLINE_AUTH_TIMEOUT_MS", value_name = "MS", default_value = "5000")]
    pub(super) auth_timeout_ms: String,

    /// Pages that browsers may bring, by scheme and host; others, and files, are refused
    #[arg(long, env = "HOPLINE_ALLOW_ORIGIN", value_name = "ORIGIN,…", value_delimiter = ',')]
    pub(super) allow_origin: Vec<String>,

    /// Open WebSocket connections, at most
    #[arg(long, env = "HOPLINE_CONNECTIONS_MAX", value_name = "N", default_value = "10000")]
    pub(super) connections_max: String,

    /// The same from one address: one of IPv4, or an IPv6 network of 64 bits. Behind a proxy all clients have the proxy's
    #[arg(long, env = "HOPLINE_CONNECTIONS_PER_ADDRESS_MAX", value_name = "N", default_value = "1000")]
    pub(super) connections_per_address_max: String,

    /// Frames that may wait for a client's socket, at most
    #[arg(long, env = "HOPLINE_CLIENT_QUEUE_MAX", value_name = "N", default_value = "4096")]
    pub(super) client_queue_max: String,

    /// Bytes of all frames that may wait for clients' sockets; with more, clients with a long queue are closed as slow
    #[arg(long, env = "HOPLINE_WAITING_BYTES_MAX", value_name = "BYTES", default_value = "268435456")]
    pub(super) waiting_bytes_max: String,

    /// Size of a client's frame, at most
    #[arg(long, env = "HOPLINE_FRAME_BYTES_MAX", value_name = "BYTES", default_value = "32768")]
    pub(super) frame_bytes_max: String,

    /// Size of a message's body, at most
    #[arg(long, env = "HOPLINE_BODY_BYTES_MAX", value_name = "BYTES", default_value = "4096")]
    pub(super) body_bytes_max: String,

    /// Subscriptions of a client, at most
    #[arg(long, env = "HOPLINE_SUBSCRIPTIONS_MAX", value_name = "N", default_value = "1000")]
    pub(super) subscriptions_max: String,

    /// Unacknowledged publishes of a client, at most
    #[arg(long, env = "HOPLINE_OUTSTANDING_MAX", value_name = "N", default_value = "256")]
    pub(super) outstanding_max: String,

    /// Publishes a second, at most, over a longer time: of a client, and over HTTP of an address
    #[arg(long, env = "HOPLINE_PUBLISH_RATE_MAX", value_name = "N", default_value = "100")]
    pub(super) publish_rate_max: String,

    /// Publishes that may come at once before that rate counts
    #[arg(long, env = "HOPLINE_PUBLISH_BURST_MAX", value_name = "N", default_value = "200")]
    pub(super) publish_burst_max: String,

    /// Missed messages that a subscription recovers, at most
    #[arg(long, env = "HOPLINE_RECOVERED_MAX", value_name = "N", default_value = "500")]
    pub(super) recovered_max: String,

    /// A client without a sign of life for so long is closed
    #[arg(long, env = "HOPLINE_IDLE_TIMEOUT_MS", value_name = "MS", default_value = "60000")]
    pub(super) idle_timeout_ms: String,

    /// Record no metrics, to find out what they cost
    #[arg(long, env = "HOPLINE_NO_METRICS")]
    pub(super) no_metrics: bool,

    /// Let `hopline fault` on this machine switch faults, through the admin listener
    #[arg(long, env = "HOPLINE_FAULT_SWITCHES")]
    pub(super) fault_switches: bool,

    /// Run with a clock that is so far ahead of the machine's, or behind it: a fault, which needs --fault-switches
    #[arg(
        long,
        env = "HOPLINE_CLOCK_SHIFT_MS",
        value_name = "MS",
        default_value = "0",
        allow_hyphen_values = true
    )]
    pub(super) clock_shift_ms: String,
    /// File with a secret; who brings it may switch faults from elsewhere, too
    #[arg(long, env = "HOPLINE_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub(super) admin_token_file: Option<String>,

    /// Limit of the shutdown; what has not drained by then is cut off
    #[arg(long, env = "HOPLINE_SHUTDOWN_TIMEOUT_MS", value_name = "MS", default_value = "10000")]
    pub(super) shutdown_timeout_ms: String,
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// PostgreSQL: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `?sslmode=verify-full` for TLS
    #[arg(long = "database-url", env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(super) url: Option<String>,

    /// File with the password for PostgreSQL, instead of one in the URL
    #[arg(long = "database-password-file", env = "HOPLINE_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,

    /// PEM file with further authorities that may vouch for PostgreSQL
    #[arg(long = "database-ca-file", env = "HOPLINE_DATABASE_CA_FILE", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
}

/// How to reach Kafka.
#[derive(Debug, Clone, Args)]
pub struct KafkaArgs {
    /// Kafka: some of its servers, which name the others
    #[arg(long = "kafka-brokers", env = "KAFKA_BROKERS", value_name = "HOST:PORT,…")]
    pub(super) brokers: Option<String>,

    /// Kafka topic that all servers share; it is made if it is missing
    #[arg(
        long = "kafka-topic",
        env = "HOPLINE_KAFKA_TOPIC",
        value_name = "TOPIC",
        default_value = "hopline"
    )]
    pub(super) topic: String,
}
