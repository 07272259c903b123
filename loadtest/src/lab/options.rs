//! What a lab is told to consist of.

use std::path::PathBuf;

use super::Broker;

/// What a lab consists of.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// How many servers are started, named `a`, `b`, `c` …; 0 for none.
    pub servers: usize,
    /// The server's binary. Without one it is built if this runs under Cargo, else looked for beside this program.
    pub server_binary: Option<PathBuf>,
    /// Further arguments of every server, after `serve`.
    pub server_args: Vec<String>,
    /// Whether servers keep their usual limits of what a client may do. A lab's clients have one address, and each stands for
    /// many others.
    pub usual_limits: bool,
    /// Further environment variables of every server.
    pub server_env: Vec<(String, String)>,
    /// Where the servers send their spans: OTLP over gRPC. Without it they send none, whatever the environment says.
    pub otlp_endpoint: Option<String>,
    /// The servers' way to one another.
    pub broker: Broker,
    /// A PostgreSQL to use instead of a private one.
    pub database_url: Option<String>,
    /// A Redis to use instead of a private one; the servers then meet on a topic of their own.
    pub redis_url: Option<String>,
    /// The private PostgreSQL's data lie on a filesystem in memory of so many bytes. It takes root.
    pub database_bytes: Option<u64>,
    /// Whether the servers take tokens only. [`Lab::credentials`](super::Lab::credentials) has them.
    pub auth: bool,
    /// Whether the folder with the logs stays, until the next lab starts.
    pub keep: bool,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            servers: 3,
            server_binary: None,
            server_args: Vec::new(),
            usual_limits: false,
            server_env: Vec::new(),
            otlp_endpoint: None,
            broker: Broker::default(),
            database_url: None,
            redis_url: None,
            database_bytes: None,
            auth: false,
            keep: false,
        }
    }
}

impl LabOptions {
    /// The Redis that is used instead of a private one, where the servers need one at all.
    pub(crate) fn given_redis(&self) -> Option<&str> {
        self.redis_url.as_deref().filter(|_| self.broker.takes_a_redis())
    }

    /// What lets a few clients of one address do as much as many others would. Later arguments override these.
    pub(super) fn lifted_limits(&self) -> &'static [&'static str] {
        const LIFTED: &[&str] = &[
            "--connections-per-address-max=1000000",
            "--publish-rate-max=1000000",
            "--publish-burst-max=1000000",
        ];
        if self.usual_limits { &[] } else { LIFTED }
    }

    /// What tells a server where its spans go. It sends them soon, so that no one has to wait long for a trace.
    pub(super) fn tracing(&self) -> impl Iterator<Item = (String, String)> {
        let endpoint = self.otlp_endpoint.iter();
        endpoint
            .flat_map(|it| {
                [("OTEL_EXPORTER_OTLP_ENDPOINT", it.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "1000")]
            })
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }
}
