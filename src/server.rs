//! Builds the stages, wires each one's output to the next one's input, and takes them down in that order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::Accept,
    admin,
    auth::Auth,
    broker::{self, Broker},
    config::{self, Config},
    connection::Shared,
    health::{self, Health},
    history::Postgres,
    http, listener,
    outbox::Outbox,
    persist::{Committed, Persist},
    protocol::SenderName,
    publish::Publish,
    receive::{self, Receive},
    schema::{self, SchemaError},
    send::{Registrar, Waiting},
};

/// Connections with which a server reads what it needs itself: enough for a read for healing, one of positions, and one more.
const OWN_CONNECTIONS_MAX: u32 = 3;

/// How long requests that have begun may take when the server stops.
const REQUESTS_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// There is no schema to work with.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A stage has ended by itself: a defect, and nothing works without it.
    #[error("{0} has stopped working")]
    Stage(&'static str),
    /// Something did not finish in time and was cut off.
    #[error("the shutdown took longer than {0:?}; what was left has been cut off")]
    Shutdown(Duration),
}

/// Where a running server can be reached. As JSON on standard output it says that clients may come.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename = "ready")]
pub struct Ready {
    /// The server's name.
    pub node: SenderName,
    /// Where clients connect.
    pub public: SocketAddr,
    /// Where operators and Prometheus connect.
    pub admin: SocketAddr,
}

/// Runs a server until `shutdown` is cancelled and everything has drained. Calls `ready` once clients may come.
/// `metrics` renders what is recorded; nothing is, if it is missing.
pub async fn run(
    config: Config,
    metrics: Option<PrometheusHandle>,
    shutdown: CancellationToken,
    ready: impl FnOnce(&Ready),
) -> Result<(), ServerError> {
    let listeners = (listen(config.listen).await?, listen(config.admin_listen).await?);
    let readers = Readers::new(&config.database);
    tokio::select! {
        prepared = schema::prepare(&readers.own, config.migrate) => prepared?,
        () = shutdown.cancelled() => return Ok(()),
    }
    let addresses = Ready {
        node: config.node.clone(),
        public: address_of(&listeners.0, config.listen),
        admin: address_of(&listeners.1, config.admin_listen),
    };
    let shutdown_timeout = config.shutdown_timeout;
    let mut running = Running::start(config, listeners, readers, metrics, &shutdown);
    ready(&addresses);
    running.last_until(&shutdown).await?;
    running.drain(shutdown_timeout).await
}

/// Who reads from PostgreSQL.
struct Readers {
    /// Clients: what they missed, and pages of history.
    clients: Postgres,
    /// The server itself: healing, comparing positions and saying whether it is ready must not wait behind clients.
    own: Postgres,
}

impl Readers {
    fn new(database: &config::Database) -> Self {
        let own = config::Database { connections_max: OWN_CONNECTIONS_MAX, ..database.clone() };
        Self { clients: Postgres::new(database), own: Postgres::new(&own) }
    }
}

/// All that goes on in a server.
struct Running {
    public: JoinHandle<()>,
    /// Each WebSocket connection is one of these.
    connections: TaskTracker,
    /// `persist` and `publish` or `outbox`, which stop once `closing` is cancelled and all is committed and published.
    stages: JoinSet<()>,
    closing: CancellationToken,
    receiving: JoinHandle<()>,
    admin: JoinHandle<()>,
}

impl Running {
    fn start(
        config: Config,
        (public_listener, admin_listener): (TcpListener, TcpListener),
        readers: Readers,
        metrics: Option<PrometheusHandle>,
        shutdown: &CancellationToken,
    ) -> Self {
        // The path of a message, from its end to its beginning: each stage is given the next one.
        let mut stages = JoinSet::new();
        let (broker, events) = broker::start(&config.broker);
        let (registrar, registrations) = Registrar::new();
        let waiting = Waiting::new(config.client.waiting_bytes_max);
        let stored = Arc::new(readers.own.clone());
        let receive =
            Receive::new(config.node.clone(), config.receive, broker.clone(), stored, waiting.clone());
        let receiving = tokio::spawn(receive.run(receive::Inputs { events, registrations }));
        let committed = onward(&config, &broker, &mut stages);
        let (database, closing) = (&config.database.options, CancellationToken::new());
        let persist =
            Persist::start(config.persist, database, move |batch| committed(batch), &closing, &mut stages);

        let connections = TaskTracker::new();
        let health = Health { history: readers.own.clone(), broker, draining: shutdown.clone() };
        let both = [readers.own, readers.clients.clone()];
        let admin = admin::routes(metrics, both, config.admin_token).merge(health::routes(health.clone()));
        let shared = Arc::new(Shared {
            node: config.node,
            config: config.client,
            auth: Auth::new(config.auth),
            accept: Accept::new(persist, config.client.limits),
            waiting,
            registrar,
            history: Arc::new(readers.clients),
            draining: shutdown.clone(),
        });
        let (http, for_ever) = (config.http, CancellationToken::new());
        let public = http::routes(shared, http.request_timeout, connections.clone());
        let public = public.merge(health::routes(health));
        let public = listener::serve(public_listener, config.tls, public, http, shutdown.clone());
        let admin = listener::serve(admin_listener, None, admin, http, for_ever);
        let (public, admin) = (tokio::spawn(public), tokio::spawn(admin));
        Self { public, connections, stages, closing, receiving, admin }
    }

    /// Returns when the server is to stop. No stage ends before.
    async fn last_until(&mut self, shutdown: &CancellationToken) -> Result<(), ServerError> {
        tokio::select! {
            // First, for stages may end because of it.
            biased;
            () = shutdown.cancelled() => Ok(()),
            _ = &mut self.receiving => Err(ServerError::Stage("receive")),
            _ = self.stages.join_next() => Err(ServerError::Stage("persist, publish or outbox")),
        }
    }

    /// Takes the stages down in the order of a message's path.
    async fn drain(mut self, limit: Duration) -> Result<(), ServerError> {
        let drained = timeout(limit, async {
            // Requests first, but a client may have sent half of one and nothing since.
            let _ = timeout(REQUESTS_TIMEOUT, &mut self.public).await;
            self.connections.close();
            self.connections.wait().await;
            self.closing.cancel();
            while self.stages.join_next().await.is_some() {}
        });
        let drained = drained.await;
        self.public.abort();
        self.receiving.abort();
        self.admin.abort();
        drained.map_err(|_| ServerError::Shutdown(limit))
    }
}

/// Where committed batches go: to the broker, or to the relay, for which they are in the outbox already.
fn onward(
    config: &Config,
    broker: &Arc<dyn Broker>,
    stages: &mut JoinSet<()>,
) -> Arc<dyn Fn(Vec<Committed>) + Send + Sync> {
    let (node, broker) = (config.node.clone(), broker.clone());
    if let Some(relay) = config.outbox {
        let outbox = Outbox::start(node, relay, &config.database.options, broker, stages);
        Arc::new(move |_| outbox.wake())
    } else {
        let (publish, publishing) = Publish::new(node, broker);
        stages.spawn(publishing);
        Arc::new(move |batch| publish.hand_over(batch))
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|error| ServerError::Listen { address, error })
}

fn address_of(listener: &TcpListener, asked_for: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked_for)
}
