//! How to reach Redis, one or a cluster, and which topics there are.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

use super::{Broker, Redis, ServeArgs, Topics, check::Checker};

/// More than that are not spread better.
const PARTITIONS_MAX: u16 = 4096;

impl Checker {
    pub(super) fn partitions(&mut self, args: &ServeArgs) -> Option<Topics> {
        let prefix = args.redis_topic.clone();
        if prefix.contains('{') {
            self.add(
                "--redis-topic",
                "must have no { for redis-sharded: it would decide on the slot of all topics",
            );
        }
        let count = self.number("--redis-partitions", &args.redis_partitions, 1..=PARTITIONS_MAX)?;
        Some(Topics::Partitions { prefix, count })
    }

    pub(super) fn redis_broker(&mut self, args: &ServeArgs, topics: Option<Topics>) -> Option<Broker> {
        let nodes = self.redis_nodes(args);
        if args.redis_topic.is_empty() {
            self.add("--redis-topic", "must not be empty");
        }
        let heartbeat = self.millis("--broker-heartbeat-ms", &args.broker_heartbeat_ms, 10..=60_000);
        let publish_timeout = self.millis("--publish-timeout-ms", &args.publish_timeout_ms, 1..=60_000);
        Some(Broker::Redis(Box::new(Redis {
            nodes: nodes?,
            topics: topics?,
            heartbeat: heartbeat?,
            publish_timeout: publish_timeout?,
        })))
    }

    /// One, or several of a cluster.
    fn redis_nodes(&mut self, args: &ServeArgs) -> Option<Vec<redis::Client>> {
        let url = self.required("--redis-url", args.redis_url.as_deref(), "REDIS_URL");
        let is_cluster = args.broker == "redis-sharded";
        let addresses = url.and_then(|urls| {
            let urls = if is_cluster { urls.split(',').collect() } else { vec![urls] };
            urls.into_iter().map(|url| self.redis_address("--redis-url", url)).collect::<Option<Vec<_>>>()
        });
        let password = self.password("--redis-password-file", args.redis_password_file.as_deref());
        let authorities = self.authorities("--redis-ca-file", args.redis_ca_file.as_deref());
        let (addresses, password, authorities) = (addresses?, password?, authorities?);
        if is_cluster {
            self.of_one_cluster(&addresses)?;
        }
        addresses
            .into_iter()
            .map(|info| self.redis_client(info, password.as_deref(), authorities.as_deref()))
            .collect()
    }

    /// What is found through one of these nodes is reached as the first one is.
    fn of_one_cluster(&mut self, nodes: &[ConnectionInfo]) -> Option<()> {
        let is_tls = |node: &ConnectionInfo| matches!(node.addr(), ConnectionAddr::TcpTls { .. });
        let is_local = |node: &ConnectionInfo| matches!(node.addr(), ConnectionAddr::Unix(_));
        let why = if nodes.iter().any(|node| is_tls(node) != is_tls(&nodes[0])) {
            "either all nodes of a cluster are reached by rediss:// or none"
        } else if nodes.iter().any(is_local) {
            "the nodes of a cluster are reached by addresses, not by a socket's path"
        } else if nodes.iter().any(|node| node.redis_settings().db() != 0) {
            "a cluster has no database but 0"
        } else {
            return Some(());
        };
        self.add("--redis-url", why);
        None
    }

    fn redis_client(
        &mut self,
        info: ConnectionInfo,
        password: Option<&str>,
        authorities: Option<&[u8]>,
    ) -> Option<redis::Client> {
        // Pushes need RESP3; a client that does not tell its name needs no right to.
        let settings = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
        let mut settings = settings.set_skip_set_lib_name();
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        // A publish of a few hundred bytes must not wait for Nagle's algorithm.
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        let client = match authorities {
            Some(_) if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => {
                self.add("--redis-ca-file", "is of use only with a rediss:// URL in --redis-url");
                return None;
            }
            Some(pem) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
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

#[cfg(test)]
mod tests {
    use crate::config::{ConfigErrors, parsed};

    /// The flags that are wrong.
    fn wrong(flags: &[&str]) -> Vec<&'static str> {
        let flags = ["--broker=redis-sharded"].into_iter().chain(flags.iter().copied());
        let problems = parsed(flags).err().map_or_else(Vec::new, |ConfigErrors(problems)| problems);
        problems.iter().map(|problem| problem.flag).collect()
    }

    #[test]
    fn a_cluster_is_named_by_some_of_its_nodes() {
        assert_eq!(wrong(&["--redis-url=redis://:a@h:1/,redis://:a@h:2/", "--redis-partitions=16"]), [""; 0]);
        assert_eq!(wrong(&["--redis-url=rediss://h:1/,rediss://h:2/"]), [""; 0]);
    }

    #[test]
    fn what_can_be_no_cluster_is_refused() {
        let urls =
            ["redis://h/,", "redis://h/,ftp://h/", "redis://h/,rediss://h/", "redis://h/1", "unix:///redis"];
        for url in urls {
            assert_eq!(wrong(&[&format!("--redis-url={url}")]), ["--redis-url"], "{url}");
        }
        let flags = ["--redis-topic=a{b}", "--redis-partitions=0"];
        assert_eq!(wrong(&flags), ["--redis-topic", "--redis-partitions"]);
        let several = ["--broker=redis", "--redis-url=redis://h/,redis://h/"];
        assert_eq!(wrong(&several), ["--redis-url"], "one Redis has one address");
    }
}
