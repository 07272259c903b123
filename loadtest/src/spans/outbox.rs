//! Sends finished spans to a collector.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{
    runtime::Builder,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::SpanCounts;

const SERVICE: &str = "hopline-loadtest";
/// Spans that may wait: several seconds of 500 sampled messages a second. What doesn't fit is dropped and counted.
const QUEUE_MAX: usize = 16_384;
const BATCH_MAX: usize = 512;
/// Spans wait so long for more, so that few requests are made.
const EXPORT_EVERY: Duration = Duration::from_millis(500);
/// How long the collector may take for a batch.
const EXPORT_LIMIT: Duration = Duration::from_secs(5);
/// How long the last spans may take after a run.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// Counts spans; clones count the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanCounters(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    ended: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl SpanCounters {
    /// What has become of the spans so far.
    pub(crate) fn read(&self) -> SpanCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SpanCounts {
            exported: count(&self.0.exported),
            failed: count(&self.0.failed),
            dropped: count(&self.0.dropped),
            ended: count(&self.0.ended),
        }
    }
}

/// A thread that exports spans, so that no client of a run has to wait while a batch is encoded. The SDK's
/// batch processor doesn't tell what it drops.
#[derive(Debug)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<SpanData>,
    counters: SpanCounters,
    finish: CancellationToken,
    finished: CancellationToken,
    /// What hasn't been sent when the outbox is dropped isn't sent any more.
    _abandon: DropGuard,
}

impl Outbox {
    /// Sends to this endpoint, or to the one that the `OTEL_` variables name.
    pub(crate) fn start(endpoint: Option<&str>) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("can't start the exporter's runtime")?;
        let mut builder = SpanExporter::builder().with_tonic().with_timeout(EXPORT_LIMIT);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let mut exporter = {
            let _entered = runtime.enter();
            builder.build().context("can't export spans as the OTEL_ variables say")?
        };
        exporter.set_resource(&Resource::builder().with_service_name(SERVICE).build());
        let (sender, spans) = mpsc::channel(QUEUE_MAX);
        let counters = SpanCounters::default();
        let [finish, finished, abandon] = [(); 3].map(|()| CancellationToken::new());
        let task = {
            let (counters, finish, abandon) = (counters.clone(), finish.clone(), abandon.clone());
            let finished = finished.clone();
            async move {
                tokio::select! {
                    () = export(&exporter, spans, &counters.0, finish) => {}
                    () = abandon.cancelled() => {}
                }
                finished.cancel();
            }
        };
        thread::Builder::new().name("span-outbox".to_owned()).spawn(move || runtime.block_on(task))?;
        Ok(Self { sender, counters, finish, finished, _abandon: abandon.drop_guard() })
    }

    /// Takes a finished span. Never waits.
    pub(crate) fn put(&self, span: SpanData) {
        let counters = &self.counters.0;
        counters.ended.fetch_add(1, Ordering::Relaxed);
        if self.sender.try_send(span).is_err() {
            counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What counts the spans.
    pub(crate) fn counters(&self) -> &SpanCounters {
        &self.counters
    }

    /// Sends what is waiting, within ten seconds. What is put afterwards is dropped.
    pub(crate) async fn finish(&self) {
        self.finish.cancel();
        let _ = timeout(FINISH_LIMIT, self.finished.cancelled()).await;
    }
}

async fn export(
    exporter: &SpanExporter,
    mut spans: mpsc::Receiver<SpanData>,
    counters: &Counters,
    finish: CancellationToken,
) {
    loop {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        tokio::select! {
            biased;
            count = spans.recv_many(&mut batch, BATCH_MAX) => if count == 0 { return },
            // What waits already is still received after this.
            () = finish.cancelled(), if !spans.is_closed() => spans.close(),
        }
        let count = batch.len();
        if count > 0 {
            let result = exporter.export(batch).await;
            let counter = if result.is_ok() { &counters.exported } else { &counters.failed };
            counter.fetch_add(count as u64, Ordering::Relaxed);
        }
        if count < BATCH_MAX && !spans.is_closed() {
            tokio::select! {
                () = sleep(EXPORT_EVERY) => {}
                () = finish.cancelled() => spans.close(),
            }
        }
    }
}
