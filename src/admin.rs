//! The admin listener: what operators and Prometheus ask for.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
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
    history::Postgres,
    telemetry::{
        exemplars::{self, Exemplars, exemplars},
        labels::AuthRefusal,
        metrics::metrics,
        process::{Process, Readers},
    },
    token::Secret,
};

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

struct Rendered {
    metrics: PrometheusHandle,
    process: Process,
    /// Whoever reads from PostgreSQL.
    readers: [Postgres; 2],
}

/// The routes of the admin listener. `metrics` are missing where none are recorded; who brings `token` may switch faults
/// from another machine. Must be called within the runtime that the metrics speak of.
pub fn routes(metrics: Option<PrometheusHandle>, readers: [Postgres; 2], token: Option<Secret>) -> Router {
    let mut routes = Router::new();
    if let Some(metrics) = metrics {
        tokio::spawn(keep_up(metrics.clone()));
        let process = Process::new(Handle::current().metrics());
        let rendered = Arc::new(Rendered { metrics, process, readers });
        let metrics = Router::new().route("/metrics", get(render_metrics)).with_state(rendered);
        routes = routes.merge(metrics).route("/exemplars", get(render_exemplars));
    }
    if fault::is_enabled() {
        let faults = get(show_faults).put(set_faults).layer(from_fn_with_state(token, from_operators_only));
        routes = routes.route("/faults", faults);
    }
    routes
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

async fn render_metrics(State(rendered): State<Arc<Rendered>>) -> String {
    let counts = rendered.readers.iter().map(Postgres::connections);
    let (idle, open) = counts.fold((0, 0), |sum, (idle, open)| (sum.0 + idle, sum.1 + open));
    rendered.process.collect(Readers { idle, used: open.saturating_sub(idle) });
    rendered.metrics.render()
}

async fn render_exemplars() -> impl IntoResponse {
    let text = exemplars().map(Exemplars::render).unwrap_or_default();
    ([(header::CONTENT_TYPE, exemplars::CONTENT_TYPE)], text)
}

/// Answers others as if there were no such route.
async fn from_operators_only(
    State(token): State<Option<Secret>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    // A token that is brought has to be right, from this machine too.
    let may = match request.headers().get(header::AUTHORIZATION) {
        Some(given) => token.is_some_and(|token| brings(given, &token)),
        None => peer.ip().to_canonical().is_loopback() && is_meant_for_here(request.headers()),
    };
    if may {
        return Ok(next.run(request).await);
    }
    metrics().auth_refusals.of(AuthRefusal::Admin).increment(1);
    Err(StatusCode::NOT_FOUND)
}

fn brings(authorization: &HeaderValue, token: &Secret) -> bool {
    let given = authorization.as_bytes().strip_prefix(b"Bearer ");
    given.is_some_and(|given| token.is(given))
}

/// A page in a browser can be made to ask loopback under another name, and a proxy asks for others.
fn is_meant_for_here(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_loopback = host.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
    let is_forwarded = ["forwarded", "x-forwarded-for"].iter().any(|name| headers.contains_key(*name));
    (is_loopback || host.split(':').next() == Some("localhost")) && !is_forwarded
}

async fn show_faults() -> Json<Option<Switches>> {
    Json(fault::switches())
}

async fn set_faults(Json(switches): Json<Switches>) -> Result<StatusCode, (StatusCode, String)> {
    switches.check().map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    fault::set(switches);
    Ok(StatusCode::NO_CONTENT)
}
