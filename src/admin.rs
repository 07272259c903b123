//! The admin listener: what operators and Prometheus ask for.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval},
};

use crate::{
    fault::{self, Switches},
    history::History,
    telemetry::{
        exemplars::{self, exemplars},
        process::{Process, Readers},
    },
};

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

struct Admin {
    metrics: PrometheusHandle,
    process: Process,
    history: History,
}

/// The routes of the admin listener. Must be called within the runtime that the metrics speak of.
pub fn routes(node: &str, metrics: PrometheusHandle, history: History) -> Router {
    tokio::spawn(keep_up(metrics.clone()));
    let process = Process::new(Handle::current().metrics(), node);
    Router::new()
        .route("/metrics", get(render_metrics))
        .route("/exemplars", get(render_exemplars))
        .route("/faults", get(show_faults).put(set_faults).layer(from_fn(from_here_only)))
        .with_state(Arc::new(Admin { metrics, process, history }))
}

/// Histograms grow until they are summed up.
async fn keep_up(metrics: PrometheusHandle) {
    let mut ticks = interval(UPKEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

async fn render_metrics(State(admin): State<Arc<Admin>>) -> String {
    let (idle, open) = admin.history.connections();
    admin.process.collect(Readers { idle, used: open.saturating_sub(idle) });
    admin.metrics.render()
}

async fn render_exemplars() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, exemplars::CONTENT_TYPE)], exemplars().render())
}

/// Answers as if there were no such route unless faults can be switched and the asker is on this machine.
async fn from_here_only(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    let allowed = fault::is_enabled() && peer.ip().to_canonical().is_loopback();
    if allowed { Ok(next.run(request).await) } else { Err(StatusCode::NOT_FOUND) }
}

async fn show_faults() -> Json<Option<Switches>> {
    Json(fault::switches())
}

async fn set_faults(Json(switches): Json<Switches>) -> Result<StatusCode, (StatusCode, String)> {
    switches.check().map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    fault::set(switches);
    Ok(StatusCode::NO_CONTENT)
}
