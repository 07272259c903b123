//! How to reach PostgreSQL and Redis: addresses, passwords, and whom to believe that it is they.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Broker, ConfigErrors, Database, DatabaseArgs, ServeArgs, check::Checker};

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
        let redis = self.redis(args);
        let topic = Some(args.redis_topic.clone()).filter(|topic| !topic.is_empty());
        if topic.is_none() {
            self.add("--redis-topic", "must not be empty");
        }
        let heartbeat = self.millis("--broker-heartbeat-ms", &args.broker_heartbeat_ms, 10..=60_000);
        let publish_timeout = self.millis("--publish-timeout-ms", &args.publish_timeout_ms, 1..=60_000);
        Some(Broker {
            redis: redis?,
            topic: topic?,
            heartbeat: heartbeat?,
            publish_timeout: publish_timeout?,
        })
    }

    fn redis(&mut self, args: &ServeArgs) -> Option<redis::Client> {
        let url = self.required("--redis-url", args.redis_url.as_deref(), "REDIS_URL");
        let info = url.and_then(|url| self.redis_address("--redis-url", url));
        let password = self.password("--redis-password-file", args.redis_password_file.as_deref());
        let authorities = self.authorities("--redis-ca-file", args.redis_ca_file.as_deref());
        let mut info = info?;
        // Pushes need RESP3; a client that does not tell its name needs no right to.
        let settings = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
        let mut settings = settings.set_skip_set_lib_name();
        if let Some(password) = password? {
            settings = settings.set_password(password);
        }
        // A publish of a few hundred bytes must not wait for Nagle's algorithm.
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        let client = match authorities? {
            Some(_) if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => {
                self.add("--redis-ca-file", "is of use only with a rediss:// URL in --redis-url");
                return None;
            }
            Some(pem) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
                redis::Client::build_with_tls(info, certificates)
            }
            None => redis::Client::open(info),
        };
        client.map_err(|error| self.add("--redis-url", error.category())).ok()
    }

    fn redis_address(&mut self, flag: &'static str, url: &str) -> Option<ConnectionInfo> {
        match url.into_connection_info() {
            Ok(info) if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) => {
                self.add(flag, "#insecure is refused: TLS with whoever answers protects nothing");
                None
            }
            Ok(info) => Some(info),
            Err(error) => {
                self.add(flag, format!("not a Redis URL: {}", error.category()));
                None
            }
        }
    }
}
