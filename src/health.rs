//! Whether the server lives, and whether clients should be sent to it.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{broker::Broker, history::Postgres};
use std::sync::Arc;

/// What the checks look at.
#[derive(Clone)]
pub struct Health {
    /// Reads from PostgreSQL.
    pub history: Postgres,
    /// The way between servers.
    pub broker: Arc<dyn Broker>,
    /// Cancelled when the server begins to drain.
    pub draining: CancellationToken,
}

/// The state of one thing that the server depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Check {
    Ok,
    /// It fails, and the server makes up for it.
    Degraded,
    /// It fails, and the server can't do its work.
    Failed,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// PostgreSQL: without it nothing can be accepted.
    database: Check,
    /// The broker: without it messages are late, but arrive. A broker that is down is no reason to send
    /// clients elsewhere, for it is down for all servers.
    broker: Check,
    /// The server itself: it takes no new clients while it drains.
    server: Check,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// `/livez` and `/readyz`.
pub fn routes(health: Health) -> Router {
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(health)
}

async fn ready(State(health): State<Health>) -> (StatusCode, Json<Readiness>) {
    let mut problems = Vec::new();
    let mut check = |ok: bool, otherwise: Check, problem: String| {
        if !ok {
            problems.push(problem);
        }
        if ok { Check::Ok } else { otherwise }
    };
    let ping = health.history.ping().await;
    // Anyone may ask, so the reason, which can have users and hosts in it, is for the log.
    if let Err(error) = &ping {
        tracing::debug!(%error, "PostgreSQL does not answer");
    }
    let database = check(ping.is_ok(), Check::Failed, "PostgreSQL does not answer".into());
    let broker = check(
        health.broker.is_connected(),
        Check::Degraded,
        "the broker is disconnected; messages are read from PostgreSQL instead".into(),
    );
    let server = check(!health.draining.is_cancelled(), Check::Failed, "the server is shutting down".into());
    let ready = database == Check::Ok && server == Check::Ok;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, database, broker, server, problems }))
}
