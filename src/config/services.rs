//! How to reach PostgreSQL, and which way there is between servers.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Broker, ConfigErrors, Database, DatabaseArgs, ServeArgs, Topics, check::Checker};

impl Database {
    /// Checks how `hopline migrate` is to reach PostgreSQL; the error names every setting that is wrong.
    pub fn new(args: &DatabaseArgs) -> Result<Self, ConfigErrors> {
        Checker::check(|check| check.database(args, "1"))
    }
}

impl Checker {
    pub(super) fn database(&mut self, args: &DatabaseArgs, connections: &str) -> Option<Database> {
        let url = self.required("--database-url", args.url.as_deref(), "DATABASE_URL");
        let options = url.and_then(|url| self.parse_secret::<PgConnectOptions>("--database-url", url));
        let password = self.password("--database-password-file", args.password_file.as_deref());
        let authorities = self.authorities("--database-ca-file", args.ca_file.as_deref());
        let connections_max = self.number("--database-connections", connections, 1..=1000);
        let (mut options, connections_max) = (options?, connections_max?);
        if let Some(password) = password? {
            options = options.password(&password);
        }
        if let Some(authorities) = authorities? {
            if !matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull) {
                self.add("--database-ca-file", "is of use only with sslmode=verify-full in --database-url");
            }
            options = options.ssl_root_cert_from_pem(authorities);
        }
        let options = options.application_name("hopline").options([
            // Acknowledged means committed and flushed, whatever the database's defaults are;
            // and the group commit's second look needs a snapshot for each statement.
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read committed"),
        ]);
        Some(Database { options, connections_max })
    }

    pub(super) fn broker(&mut self, args: &ServeArgs) -> Option<Broker> {
        let topic = args.redis_topic.clone();
        match args.broker.as_str() {
            "local" => Some(Broker::Local),
            "redis" => self.redis_broker(args, Some(Topics::One(topic))),
            "redis-channels" => self.redis_broker(args, Some(Topics::EachChannel(topic))),
            "redis-sharded" => {
                let topics = self.partitions(args);
                self.redis_broker(args, topics)
            }
            "kafka" => self.kafka_broker(args, Some(Duration::ZERO)),
            "kafka-as-written" => self.kafka_broker(args, None),
            other => {
                let brokers = "local, redis, redis-channels, redis-sharded, kafka, kafka-as-written";
                self.add("--broker", format!("{other:?}: one of {brokers}"));
                None
            }
        }
    }
}
