//! Logs go to standard error, so that standard output stays free for the ready line. A line that is written
//! within a span carries its trace.

use std::{fmt, io::IsTerminal};

use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::trace;

/// Starts logging. `filter` has the syntax of [`EnvFilter`].
///
/// The spans of `tracing` are exported too, where tracing is on: those are the rare ones, such as healing. A
/// message's own spans are made without it, see [`trace`].
///
/// Fails if the filter can't be parsed, or if logging has been started before.
pub fn start(filter: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(filter)?;
    let lines = tracing_subscriber::fmt::layer()
        .event_format(WithTrace(Format::default()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(filter);
    // Only ours: a span of the exporter's own connection would be exported, and make another one.
    let spans = trace::tracer().map(|tracer| {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        layer.with_filter(Targets::new().with_target("hopline", tracing::Level::INFO))
    });
    tracing_subscriber::registry().with(spans).with(lines).try_init()?;
    Ok(())
}

/// Puts `trace_id=…` before the line.
struct WithTrace(Format);

impl<S, N> FormatEvent<S, N> for WithTrace
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if context.lookup_current().is_some() {
            let current = tracing::Span::current().context();
            let span = current.span();
            if span.span_context().is_valid() {
                write!(writer, "trace_id={} ", span.span_context().trace_id())?;
            }
        }
        self.0.format_event(context, writer, event)
    }
}
