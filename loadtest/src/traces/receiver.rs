//! An OTLP receiver inside this process.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tokio::{
    runtime::Builder,
    sync::{oneshot, watch},
    time::timeout,
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use super::{span::Span, store::Store, trace::Trace};

/// Requests hold a batch of spans each; the largest that tonic takes by itself is 4 MiB.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Receives spans over OTLP (gRPC) on a free loopback port and keeps them, until it is dropped.
///
/// It has a thread of its own: decoding a batch takes a millisecond, for which no client of a run should have to wait.
#[derive(Debug)]
pub struct Receiver {
    addr: SocketAddr,
    inbox: Inbox,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct Inbox {
    store: Arc<Mutex<Store>>,
    /// How many requests have come.
    arrivals: watch::Sender<u64>,
}

impl Receiver {
    /// Starts one. An error says that the port or the thread can't be had.
    pub fn start() -> anyhow::Result<Self> {
        Self::with_store(Store::new())
    }

    pub(super) fn with_store(store: Store) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("can't listen for spans on loopback")?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let inbox = Inbox { store: Arc::new(Mutex::new(store)), arrivals: watch::Sender::new(0) };
        let runtime =
            Builder::new_current_thread().enable_all().build().context("can't start the spans' runtime")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let service = TraceServiceServer::new(inbox.clone()).max_decoding_message_size(REQUEST_BYTES_MAX);
        let thread = thread::Builder::new().name("otlp-receiver".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("it doesn't block");
                let serving =
                    Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
                // Ends with the sender. Connections that exporters keep open are cut off.
                tokio::select! {
                    _ = serving => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { addr, inbox, stop: Some(stop), thread: Some(thread) })
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What has been received so far, locked: spans that come meanwhile wait.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.inbox.lock()
    }

    /// All spans that have been received so far, in the order in which they came.
    pub fn spans(&self) -> Vec<Span> {
        self.store().spans().to_vec()
    }

    /// A trace, as far as it has been received; none if no span of it has.
    pub fn trace(&self, id: TraceId) -> Option<Trace> {
        self.store().trace(id)
    }

    /// Waits until `condition` gives something, asking it now and whenever spans have come. None if it gives
    /// nothing within the limit.
    pub async fn wait_until<T>(
        &self,
        limit: Duration,
        mut condition: impl FnMut(&Store) -> Option<T>,
    ) -> Option<T> {
        let mut arrivals = self.inbox.arrivals.subscribe();
        let found = async {
            loop {
                arrivals.borrow_and_update();
                if let Some(found) = condition(&self.store()) {
                    return Some(found);
                }
                arrivals.changed().await.ok()?;
            }
        };
        timeout(limit, found).await.ok().flatten()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl TraceService for Inbox {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let refused = self.lock().add(request.into_inner().resource_spans);
        self.arrivals.send_modify(|arrivals| *arrivals += 1);
        let partial_success = (refused > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(refused).unwrap_or(i64::MAX),
            error_message: "the receiver is full".to_owned(),
        });
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}
