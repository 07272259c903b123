//! Where spans go: to the OTLP collector that the environment names, or nowhere.

use std::{env, sync::OnceLock, time::Duration};

use opentelemetry::{Key, KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider},
};

use super::counting::{CountingExporter, CountingProcessor, Pending};

const SERVICE: &str = "hopline";
/// Spans that may wait for the collector, if `OTEL_BSP_MAX_QUEUE_SIZE` says nothing else: some seconds of 500
/// sampled messages a second.
const QUEUE_MAX: usize = 8192;
/// Beside what may wait, the batch processor holds the batch that is being exported.
const BATCH_MAX: usize = 512;
/// How long the last spans may take when the server stops.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(3);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The exporter can't be made of what the environment says.
#[derive(Debug, thiserror::Error)]
#[error("can't export traces as the OTEL_ variables say: {0}")]
pub struct StartError(#[from] ExporterBuildError);

/// Tracing for as long as the process runs.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

/// Starts tracing if the environment names a collector: `OTEL_EXPORTER_OTLP_ENDPOINT` or
/// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, and not `OTEL_SDK_DISABLED=true`. The SDK and the exporter
/// honour the other `OTEL_` variables; the sampler is parent-based unless `OTEL_TRACES_SAMPLER` says otherwise.
///
/// Must be called within a Tokio runtime. `node` becomes the service's instance.
pub fn start(node: &str) -> Result<Traces, StartError> {
    if !is_wanted() {
        return Ok(Traces(None));
    }
    let pending = Pending::default();
    let exporter =
        CountingExporter { inner: SpanExporter::builder().with_tonic().build()?, pending: pending.clone() };
    let max = number("OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(QUEUE_MAX);
    let batches = BatchConfigBuilder::default().with_max_queue_size(max + BATCH_MAX).build();
    let inner = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource(node))
        .with_span_processor(CountingProcessor { inner, pending, max })
        .build();
    let _ = TRACER.set(provider.tracer(SERVICE));
    Ok(Traces(Some(provider)))
}

/// What makes spans, if tracing is on.
pub fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

impl Traces {
    /// Sends what waits, within three seconds. Blocks: a collector that does not answer must not hold up a runtime.
    pub fn shut_down(self) {
        let Some(provider) = self.0 else {
            return;
        };
        if let Err(error) = provider.shutdown_with_timeout(SHUTDOWN_LIMIT) {
            tracing::warn!(%error, "the last spans were not all exported");
        }
    }
}

fn is_wanted() -> bool {
    let set = |name| env::var(name).is_ok_and(|value| !value.is_empty());
    let disabled = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    !disabled && (set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come before our own name for the service.
fn resource(node: &str) -> Resource {
    let builder =
        || Resource::builder().with_attribute(KeyValue::new("service.instance.id", node.to_owned()));
    let resource = builder().build();
    let name = resource.get(&Key::from_static_str("service.name"));
    match name {
        Some(name) if !name.as_str().starts_with("unknown_service") => resource,
        _ => builder().with_service_name(SERVICE).build(),
    }
}

fn number(name: &str) -> Option<usize> {
    env::var(name).ok()?.parse().ok()
}
