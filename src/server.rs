//! Builds the stages, wires each one's output to the next one's input, and takes them down in that order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use sqlx::migrate::MigrateError;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::Accept,
    admin,
    auth::Auth,
    broker,
    config::Config,
    connection::Shared,
    health::{self, Health},
    history::History,
    http, listener,
    persist::Persist,
    protocol::SenderName,
    publish::Publish,
    receive::{self, Receive},
    send::Registrar,
};

/// Attempts to reach PostgreSQL at the start, one a second.
const MIGRATION_ATTEMPTS: u32 = 30;
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
    /// PostgreSQL can't be reached, or its schema can't be brought up to date.
    #[error("can't prepare the database: {0}")]
    Database(MigrateError),
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
    let public_listener = listen(config.listen).await?;
    let admin_listener = listen(config.admin_listen).await?;
    let history = History::new(&config.database);
    tokio::select! {
        migrated = migrate(&history) => migrated?,
        () = shutdown.cancelled() => return Ok(()),
    }
    let addresses = Ready {
        node: config.node.clone(),
        public: address_of(&public_listener, config.listen),
        admin: address_of(&admin_listener, config.admin_listen),
    };

    // The path of a message, from its end to its beginning: each stage is given the next one.
    let mut stages = JoinSet::new();
    let (broker, events) = broker::start(&config.broker);
    let (registrar, registrations) = Registrar::new();
    let receive = Receive::new(config.node.clone(), config.receive, broker.clone(), history.clone());
    let mut receiving = tokio::spawn(receive.run(receive::Inputs { events, registrations }));
    let (publish, publishing) = Publish::new(config.node.clone(), broker.clone());
    stages.spawn(publishing);
    let committed = move |batch| publish.hand_over(batch);
    let closing = CancellationToken::new();
    let persist = Persist::start(config.persist, &config.database.options, committed, &closing, &mut stages);

    let connections = TaskTracker::new();
    let health = Health { history: history.clone(), broker, draining: shutdown.clone() };
    let admin = admin::routes(metrics, history.clone(), config.admin_token);
    let shared = Arc::new(Shared {
        node: config.node,
        config: config.client,
        auth: Auth::new(config.auth),
        accept: Accept::new(persist, config.client.limits),
        registrar,
        history,
        draining: shutdown.clone(),
    });
    let public = http::routes(shared, connections.clone()).merge(health::routes(health));
    let mut public = tokio::spawn(listener::serve(public_listener, public, config.http, shutdown.clone()));
    let admin = tokio::spawn(listener::serve(admin_listener, admin, config.http, CancellationToken::new()));

    ready(&addresses);
    tokio::select! {
        // First, for stages may end because of it.
        biased;
        () = shutdown.cancelled() => {}
        _ = &mut receiving => return Err(ServerError::Stage("receive")),
        _ = stages.join_next() => return Err(ServerError::Stage("persist or publish")),
    }
    let drained = timeout(config.shutdown_timeout, async {
        // Requests first, but a client may have sent half of one and nothing since.
        let _ = timeout(REQUESTS_TIMEOUT, &mut public).await;
        connections.close();
        connections.wait().await;
        closing.cancel();
        while stages.join_next().await.is_some() {}
    });
    let drained = drained.await;
    public.abort();
    receiving.abort();
    admin.abort();
    drained.map_err(|_| ServerError::Shutdown(config.shutdown_timeout))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|error| ServerError::Listen { address, error })
}

fn address_of(listener: &TcpListener, asked_for: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked_for)
}

/// Waits for a database that is still starting; any other failure is final.
async fn migrate(history: &History) -> Result<(), ServerError> {
    for attempt in 1.. {
        match history.migrate().await {
            Ok(()) => break,
            Err(MigrateError::Execute(error)) if attempt < MIGRATION_ATTEMPTS && is_starting(&error) => {
                tracing::warn!(%error, attempt, "PostgreSQL is not ready; trying again");
                sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(ServerError::Database(error)),
        }
    }
    Ok(())
}

/// Whether PostgreSQL doesn't listen yet, or says that it isn't ready (`cannot_connect_now`).
fn is_starting(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) || code.as_deref() == Some("57P03")
}
