//! Counts what becomes of spans. The SDK's own processor drops what does not fit without telling anyone but a
//! log, so the limit is kept here, before it, and every span is accounted for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};

use crate::telemetry::{labels::SpanOutcome, metrics::metrics};

/// Spans that were handed on and are neither exported nor given up.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(Arc<AtomicUsize>);

impl Pending {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Hands spans to the batch processor for as long as fewer than `max` are pending.
#[derive(Debug)]
pub(super) struct CountingProcessor {
    pub(super) inner: BatchSpanProcessor,
    pub(super) pending: Pending,
    pub(super) max: usize,
}

impl SpanProcessor for CountingProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        metrics().spans.of(SpanOutcome::Ended).increment(1);
        if self.pending.0.fetch_add(1, Ordering::Relaxed) < self.max {
            self.inner.on_end(span);
        } else {
            self.pending.0.fetch_sub(1, Ordering::Relaxed);
            metrics().spans.of(SpanOutcome::Dropped).increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts what an exporter gets rid of.
#[derive(Debug)]
pub(super) struct CountingExporter<E> {
    pub(super) inner: E,
    pub(super) pending: Pending,
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let exported = self.inner.export(batch).await;
        let outcome = if exported.is_ok() { SpanOutcome::Exported } else { SpanOutcome::Failed };
        metrics().spans.of(outcome).increment(count as u64);
        self.pending.0.fetch_sub(count, Ordering::Relaxed);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
