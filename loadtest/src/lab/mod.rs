//! The lab: a private PostgreSQL, a private broker and real servers on free loopback ports, in a
//! temporary folder. It leaves nothing behind: not after a panic, and what a killed lab leaves, the
//! next one sweeps away.

mod auth;
mod binary;
mod broker;
mod cluster;
mod exporters;
mod folder;
pub mod jaeger;
pub(crate) mod kafka;
mod options;
mod port;
pub(crate) mod postgres;
mod process;
mod program;
pub mod prometheus;
pub(crate) mod redis;
mod server;
mod small_disk;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::try_join_all;

use auth::LabIssuer;
pub use broker::{Backend, Broker};
pub use cluster::Cluster;
use folder::Folder;
pub use jaeger::Jaeger;
pub use kafka::Kafka;
pub use options::LabOptions;
pub use port::free_port;
pub use postgres::Postgres;
pub use prometheus::Prometheus;
pub use redis::Redis;
use server::Launch;
pub use server::Server;
pub(crate) use small_disk::is_possible as can_have_a_small_disk;

use crate::credentials::Credentials;

/// How long the servers may drain when the lab is taken down.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// A running lab. Dropping it ends all its processes and removes its folder; that blocks for up to some seconds.
#[derive(Debug)]
pub struct Lab {
    options: LabOptions,
    swept: Vec<PathBuf>,
    postgres: Option<Postgres>,
    backend: Option<Backend>,
    redis_topic: String,
    /// Who issues the clients' tokens, if they need some.
    issuer: Option<LabIssuer>,
    /// Found, or built, when the first server is started.
    server_binary: Mutex<Option<PathBuf>>,
    servers: Mutex<Vec<Arc<Server>>>,
    folder: Arc<Folder>,
}

impl Lab {
    /// Sweeps away what killed labs left, then starts the services and the servers, and waits until all are ready.
    /// An error says which component failed, shows the end of its log and what to do.
    pub async fn start(options: LabOptions) -> anyhow::Result<Self> {
        let swept = folder::sweep();
        let folder = Arc::new(Folder::create(options.keep)?);
        let redis_topic = match options.given_redis() {
            Some(_) => format!("hopline-{}", uuid::Uuid::new_v4().simple()),
            None => "hopline".to_owned(),
        };
        let issuer = if options.auth { Some(LabIssuer::create(folder.path())?) } else { None };
        let mut lab = Self {
            options,
            swept,
            postgres: None,
            backend: None,
            redis_topic,
            issuer,
            server_binary: Mutex::default(),
            servers: Mutex::default(),
            folder,
        };
        lab.start_services().await?;
        let nodes = node_names(lab.options.servers);
        try_join_all(nodes.iter().map(|node| lab.start_server(node, &[]))).await?;
        Ok(lab)
    }

    /// Starts one more server, with further arguments after those of the lab.
    pub async fn start_server(&self, node: &str, args: &[&str]) -> anyhow::Result<Arc<Server>> {
        self.start_build(self.server_binary()?, node, args).await
    }

    /// The same with another binary than the lab's.
    pub(crate) async fn start_build(
        &self,
        binary: PathBuf,
        node: &str,
        args: &[&str],
    ) -> anyhow::Result<Arc<Server>> {
        let options = &self.options;
        let launch = Launch {
            binary,
            node: node.to_owned(),
            database_url: self.database_url().to_owned(),
            args: options
                .lifted_limits()
                .iter()
                .copied()
                .chain(["--broker", options.broker.name(), "--redis-topic", &self.redis_topic])
                .chain(options.server_args.iter().map(String::as_str))
                .chain(self.issuer.iter().flat_map(LabIssuer::server_args))
                .chain(args.iter().copied())
                .map(str::to_owned)
                .collect(),
            env: self
                .broker_env()
                .chain(options.tracing())
                .chain(options.server_env.iter().cloned())
                .collect(),
        };
        let server = Arc::new(Server::launch(launch, &self.folder).await?);
        let mut servers = lock(&self.servers);
        servers.push(Arc::clone(&server));
        servers.sort_by(|one, other| one.node().cmp(other.node()));
        Ok(server)
    }

    /// All servers, by name.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        lock(&self.servers).clone()
    }

    /// The server of this name.
    ///
    /// # Panics
    /// If the lab has started no such server.
    pub fn server(&self, node: &str) -> Arc<Server> {
        self.servers()
            .into_iter()
            .find(|server| server.node() == node)
            .unwrap_or_else(|| panic!("the lab has no server {node}"))
    }

    /// The public addresses of all servers, by name.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.servers().iter().map(|server| server.public_addr()).collect()
    }

    /// The lab's own PostgreSQL.
    ///
    /// # Panics
    /// If the lab uses one that it was given: see [`LabOptions::database_url`].
    pub fn postgres(&self) -> &Postgres {
        self.private_postgres().expect("the lab was told to use another PostgreSQL")
    }

    /// What runs between the servers, of the lab's own.
    ///
    /// # Panics
    /// If there is nothing, or the lab uses one that it was given: see [`LabOptions::redis_url`].
    pub fn backend(&self) -> &Backend {
        self.backend.as_ref().expect("the lab has something of its own between its servers")
    }

    /// The lab's own Redis.
    ///
    /// # Panics
    /// If the lab has none: see [`LabOptions::broker`] and [`LabOptions::redis_url`].
    pub fn redis(&self) -> &Redis {
        self.private_redis().expect("the lab has a Redis of its own")
    }

    /// The lab's own PostgreSQL; none if it uses one that it was given.
    pub fn private_postgres(&self) -> Option<&Postgres> {
        self.postgres.as_ref()
    }

    /// The lab's own Redis; none if it uses one that it was given, or another broker.
    pub fn private_redis(&self) -> Option<&Redis> {
        match &self.backend {
            Some(Backend::Redis(redis)) => Some(redis),
            _ => None,
        }
    }

    /// The lab's own Redis Cluster.
    ///
    /// # Panics
    /// If the lab has none: see [`LabOptions::broker`].
    pub fn cluster(&self) -> &Cluster {
        match &self.backend {
            Some(Backend::Cluster(cluster)) => cluster,
            _ => panic!("the lab has no Redis Cluster of its own"),
        }
    }

    /// What runs between the servers, of the lab's own; none if there is nothing, or it was given.
    pub(crate) fn private_backend(&self) -> Option<&Backend> {
        self.backend.as_ref()
    }

    /// The process ids of what runs between the servers, of the lab's own.
    pub fn broker_pids(&self) -> Vec<u32> {
        self.backend.as_ref().map(Backend::pids).unwrap_or_default()
    }

    /// The servers' way to one another.
    pub fn broker(&self) -> Broker {
        self.options.broker
    }

    /// The PostgreSQL that the servers use.
    pub fn database_url(&self) -> &str {
        match (&self.postgres, &self.options.database_url) {
            (Some(postgres), _) => postgres.url(),
            (None, given) => given.as_deref().unwrap_or_default(),
        }
    }

    /// The one Redis that the servers use; empty if they use none, or a cluster.
    pub fn redis_url(&self) -> &str {
        self.private_redis().map_or_else(|| self.options.given_redis().unwrap_or_default(), Redis::url)
    }

    /// The Redis topic on which the servers meet.
    pub fn redis_topic(&self) -> &str {
        &self.redis_topic
    }

    /// What clients come in with.
    pub fn credentials(&self) -> Credentials {
        let issuer = self.issuer.as_ref().map(|issuer| issuer.issuer.clone());
        issuer.map_or_else(Credentials::default, Credentials::Issuer)
    }

    /// What tells a load generator how to mint tokens; none if names will do.
    pub fn token_args(&self) -> Option<String> {
        self.issuer.as_ref().map(LabIssuer::generator_args)
    }

    /// The lab's folder; its logs are there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folders of killed labs that were swept away at the start.
    pub fn swept(&self) -> &[PathBuf] {
        &self.swept
    }

    fn server_binary(&self) -> anyhow::Result<PathBuf> {
        let mut found = lock(&self.server_binary);
        if let Some(path) = &*found {
            return Ok(path.clone());
        }
        let path = binary::find(self.options.server_binary.as_deref())?;
        Ok(found.insert(path).clone())
    }

    async fn start_services(&mut self) -> anyhow::Result<()> {
        let options = &self.options;
        let (private_postgres, private_broker) =
            (options.database_url.is_none(), options.given_redis().is_none());
        let (folder, bytes) = (&self.folder, options.database_bytes);
        let postgres = async {
            if private_postgres { Postgres::launch(folder, bytes).await.map(Some) } else { Ok(None) }
        };
        let backend =
            async { if private_broker { Backend::launch(options.broker, folder).await } else { Ok(None) } };
        (self.postgres, self.backend) = tokio::try_join!(postgres, backend)?;
        Ok(())
    }

    /// What tells a server where its broker is.
    pub(crate) fn broker_env(&self) -> impl Iterator<Item = (String, String)> {
        let given = self.options.given_redis().map(|url| ("REDIS_URL".to_owned(), url.to_owned()));
        self.backend.iter().flat_map(Backend::server_env).chain(given)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let servers = self.servers();
        for server in &servers {
            server.ask_to_end();
        }
        for server in &servers {
            server.end(DRAIN_LIMIT);
        }
        if let Some(backend) = &self.backend {
            backend.kill();
        }
        if let Some(postgres) = &self.postgres {
            postgres.end();
        }
        self.folder.remove();
    }
}

/// Locks what no one panics with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `a`, `b`, … `z`, then `a1`, `b1` ….
fn node_names(count: usize) -> Vec<String> {
    let letters = || 'a'..='z';
    letters()
        .map(String::from)
        .chain((1..).flat_map(|round| letters().map(move |letter| format!("{letter}{round}"))))
        .take(count)
        .collect()
}

#[cfg(test)]
mod tests;
