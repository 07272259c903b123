//! The admin listener: what operators and Prometheus ask for.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval},
};

use crate::{
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
