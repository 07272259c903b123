//! Takes connections in: so many at a time, and none may be slow with its request.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1::{self, UpgradeableConnection},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::telemetry::{labels::HeadRefusal, metrics::metrics};

/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long `accept` waits after a failure: there may be no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections that speak HTTP at a time; the next ones wait in the kernel. A WebSocket has left HTTP behind.
    pub connections_max: usize,
    /// How long a client may take for the head of a request, and leave a connection without any.
    pub request_timeout: Duration,
}

/// Serves until `shutdown` is cancelled, then until the requests that have begun are answered.
pub async fn serve(listener: TcpListener, routes: Router, limits: Limits, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.request_timeout).max_buf_size(HEAD_BYTES_MAX);
    loop {
        let (stream, peer, slot) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let (routes, shutdown) = (routes.clone(), shutdown.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            routes.clone().oneshot(request)
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        connections.spawn(async move {
            if let Err(error) = until_answered(connection, &shutdown).await {
                count(&error);
                tracing::debug!(%error, %peer, "a connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Counts a connection whose request could not be read; others broke.
fn count(error: &hyper::Error) {
    let reason = if error.is_timeout() {
        HeadRefusal::Slow
    } else if error.is_parse_too_large() {
        HeadRefusal::TooLarge
    } else if error.is_parse() {
        HeadRefusal::Malformed
    } else {
        return;
    };
    metrics().heads_refused.of(reason).increment(1);
}

/// Drives a connection to its end, which comes with the next answer once `shutdown` is cancelled.
async fn until_answered<S>(
    connection: UpgradeableConnection<TokioIo<TcpStream>, S>,
    shutdown: &CancellationToken,
) -> hyper::Result<()>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, peer)) => {
            // A frame of a few hundred bytes must not wait for Nagle's algorithm.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "could not set TCP_NODELAY");
            }
            Some((stream, peer, slot))
        }
        Err(error) => {
            tracing::warn!(%error, "could not accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
