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
/// The most that may be asked for: about a gigabyte.
const QUEUE_LIMIT: usize = 1_000_000;
/// How long the last spans may take when the server stops.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(3);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Traces can't be exported as the environment says.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The exporter refuses a setting.
    #[error("can't export traces as the OTEL_ variables say: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// Another protocol is asked for.
    #[error("{0}={1}: only grpc is spoken here")]
    Protocol(&'static str, String),
    /// The queue has no size.
    #[error("OTEL_BSP_MAX_QUEUE_SIZE={0}: a number from 1 to {QUEUE_LIMIT}")]
    Queue(String),
}

/// Tracing for as long as the process runs.
#[derive(Debug)]
pub struct Traces(Option<(SdkTracerProvider, Pending)>);

/// Starts tracing if the environment names a collector: `OTEL_EXPORTER_OTLP_ENDPOINT` or
/// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, and not `OTEL_SDK_DISABLED=true`. The SDK and the exporter
/// honour the other `OTEL_` variables; the sampler is parent-based unless `OTEL_TRACES_SAMPLER` says otherwise.
///
/// Must be called within a Tokio runtime. `node` becomes the service's instance.
pub fn start(node: &str) -> Result<Traces, StartError> {
    if !is_wanted() {
        return Ok(Traces(None));
    }
    check_protocol()?;
    let max = queue_max()?;
    let pending = Pending::default();
    let exporter =
        CountingExporter { inner: SpanExporter::builder().with_tonic().build()?, pending: pending.clone() };
    // No more than `max` are handed to it, so that it never drops one itself.
    let batches = BatchConfigBuilder::default().with_max_queue_size(max).build();
    let inner = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource(node))
        .with_span_processor(CountingProcessor { inner, pending: pending.clone(), max })
        .build();
    let _ = TRACER.set(provider.tracer(SERVICE));
    Ok(Traces(Some((provider, pending))))
}

/// What makes spans, if tracing is on.
pub fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

impl Traces {
    /// Sends what waits, within three seconds. Blocks: a collector that does not answer must not hold up a runtime.
    pub fn shut_down(self) {
        let Some((provider, pending)) = self.0 else {
            return;
        };
        if let Err(error) = provider.shutdown_with_timeout(SHUTDOWN_LIMIT) {
            tracing::warn!(%error, spans = pending.count(), "the last spans were not exported");
        }
    }
}

fn is_wanted() -> bool {
    let is = |name, value: &str| env::var(name).is_ok_and(|set| set.eq_ignore_ascii_case(value));
    let set = |name| env::var(name).is_ok_and(|value| !value.is_empty());
    let wanted = !is("OTEL_SDK_DISABLED", "true") && !is("OTEL_TRACES_EXPORTER", "none");
    wanted && (set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
}

fn check_protocol() -> Result<(), StartError> {
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        match env::var(name) {
            Ok(protocol) if !["", "grpc"].contains(&protocol.as_str()) => {
                return Err(StartError::Protocol(name, protocol));
            }
            _ => {}
        }
    }
    Ok(())
}

fn queue_max() -> Result<usize, StartError> {
    let Some(text) = env::var("OTEL_BSP_MAX_QUEUE_SIZE").ok().filter(|text| !text.is_empty()) else {
        return Ok(QUEUE_MAX);
    };
    let number = text.parse().ok().filter(|number| (1..=QUEUE_LIMIT).contains(number));
    number.ok_or(StartError::Queue(text))
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
