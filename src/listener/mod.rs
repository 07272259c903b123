//! Takes connections in: so many at a time, and none may be slow with its request or leave an answer unread.

mod write_limit;

use std::{
    error::Error,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use self::write_limit::WriteLimit;
use crate::{
    telemetry::{labels::HeadRefusal, metrics::metrics},
    tls::Tls,
};

/// How long `accept` waits after a failure: there may be no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The head of a request, and what is read of its body at a time.
const READ_BUFFER_BYTES_MAX: usize = 32 << 10;

/// What a listener allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections that speak HTTP at a time; the next ones wait in the kernel. A WebSocket has left HTTP behind.
    pub connections_max: usize,
    /// How long a client may take for a TLS handshake, for the head of a request and for its body, leave a connection
    /// without any, and take nothing of an answer.
    pub request_timeout: Duration,
}

/// Serves until `shutdown` is cancelled, then until the requests that have begun are answered. Without `tls` what
/// clients say goes over the network as it is.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    routes: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    loop {
        let (stream, peer, slot) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let conversation = Conversation { routes: routes.clone(), peer, limits, shutdown: shutdown.clone() };
        let tls = tls.clone();
        connections.spawn(async move {
            if let Err(error) = conversation.hold(stream, tls).await {
                tracing::debug!(error, %peer, "a connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// What goes on over one connection.
struct Conversation {
    routes: Router,
    peer: SocketAddr,
    limits: Limits,
    shutdown: CancellationToken,
}

impl Conversation {
    async fn hold(self, stream: TcpStream, tls: Option<Tls>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let is_over = Arc::<AtomicBool>::default();
        // Below TLS, where each byte that the client takes is seen.
        let stream = WriteLimit::new(stream, self.limits.request_timeout, Arc::clone(&is_over));
        let spoken = self.speak(stream, tls).await;
        // What lives on is a WebSocket, whose queue says when its client is too slow. Until the answer to its request is written,
        // it is none.
        is_over.store(true, Ordering::Relaxed);
        spoken
    }

    async fn speak(
        self,
        stream: WriteLimit<TcpStream>,
        tls: Option<Tls>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Some(tls) = tls else { return Ok(self.speak_http(stream).await?) };
        let shaken = tokio::select! {
            shaken = tls.handshake(stream, self.limits.request_timeout) => shaken?,
            () = self.shutdown.cancelled() => return Ok(()),
        };
        Ok(self.speak_http(shaken).await?)
    }

    /// Answers requests to the end of the connection, which comes with the next answer once `shutdown` is cancelled.
    async fn speak_http<S>(self, stream: S) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { routes, peer, limits, shutdown } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            routes.clone().oneshot(request)
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.request_timeout);
        builder.max_buf_size(READ_BUFFER_BYTES_MAX);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        ended.inspect_err(count)
    }
}

/// Counts a connection whose request could not be read, or whose answer was not; others broke.
fn count(error: &hyper::Error) {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
        metrics().answers_unread.increment(1);
        return;
    }
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
