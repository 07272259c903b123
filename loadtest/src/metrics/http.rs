//! Serves the metrics.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, task::AbortHandle};

use super::Metrics;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Serving {
    addr: SocketAddr,
    task: AbortHandle,
}

impl Serving {
    /// Where.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `GET /metrics` on an address; port 0 takes a free one.
pub(crate) async fn serve(metrics: Arc<Metrics>, addr: SocketAddr) -> anyhow::Result<Serving> {
    let listener = TcpListener::bind(addr).await.with_context(|| format!("can't serve metrics on {addr}"))?;
    let addr = listener.local_addr()?;
    let router = Router::new().route("/metrics", get(render)).with_state(metrics);
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok(Serving { addr, task: task.abort_handle() })
}

async fn render(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
