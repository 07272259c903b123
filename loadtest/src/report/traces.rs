//! What a report says of traces.

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use serde::Serialize;

use super::terminal::{line, milliseconds};
use crate::{
    spans::{Slow, SpanCounts},
    traces::Completeness,
};

/// The traces of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TraceReport {
    /// The share of messages that were to be traced.
    pub(crate) sample_share: f64,
    /// Messages that were.
    pub(crate) messages: u64,
    /// How many of them have all their spans; only on a lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completeness: Option<Completeness>,
    /// Spans that the lab's receiver got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spans_received: Option<u64>,
    /// Spans for which it had no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spans_refused: Option<u64>,
    /// What became of the generator's own spans.
    pub(crate) generator_spans: SpanCounts,
    /// What became of the servers' spans, as they count them; only on a lab all of whose servers tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_spans: Option<SpanCounts>,
    /// What was asked of the traces and doesn't hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shortcomings: Vec<String>,
    /// The slowest traces of the measured window.
    pub(crate) slowest: Vec<SlowTrace>,
    /// Where the traces are; only on a lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) saved: Option<SavedTraces>,
}

/// A trace whose message took long.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SlowTrace {
    pub(crate) trace_id: String,
    /// From the intended time until its last recipient had it.
    pub(crate) total_ms: f64,
}

/// A file with traces.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SavedTraces {
    pub(crate) file: PathBuf,
    /// How many are in it: the slowest.
    pub(crate) traces: usize,
}

impl From<&Slow> for SlowTrace {
    fn from(slow: &Slow) -> Self {
        Self { trace_id: slow.trace_id.to_string(), total_ms: f64::from(slow.total_us) / 1_000.0 }
    }
}

/// The lines about traces.
pub(super) fn traces(text: &mut String, report: &TraceReport) {
    let share = report.sample_share * 100.0;
    line(text, "Traces", &format!("{} messages traced ({share} %){}", report.messages, whole(report)));
    line(text, "Spans", &spans(report));
    for shortcoming in &report.shortcomings {
        line(text, "", &format!("FAIL: {shortcoming}"));
    }
    for (number, slow) in report.slowest.iter().enumerate() {
        let label = if number == 0 { "Slowest" } else { "" };
        line(text, label, &format!("{} {:>9} ms", slow.trace_id, milliseconds(slow.total_ms)));
    }
    if let (Some(saved), Some(slow)) = (&report.saved, report.slowest.first()) {
        let file = saved.file.display();
        line(
            text,
            "",
            &format!(
                "see one with: cargo loadtest trace {} (the {} slowest are in {file})",
                &slow.trace_id[..8],
                saved.traces
            ),
        );
    }
}

fn whole(report: &TraceReport) -> String {
    let Some(completeness) = &report.completeness else {
        return String::new();
    };
    let mut text =
        format!("; {} of {} acknowledged are complete", completeness.complete, completeness.messages);
    if let Some(percent) = completeness.percent() {
        let _ = write!(text, " ({percent:.2} %)");
    }
    for (what, spans) in [("missing", &completeness.missing), ("misplaced", &completeness.misplaced)] {
        if !spans.is_empty() {
            let _ = write!(text, ", {what}: {}", listed(spans));
        }
    }
    text
}

fn listed(spans: &BTreeMap<&str, u64>) -> String {
    let counts: Vec<String> = spans.iter().map(|(name, count)| format!("{count} {name}")).collect();
    counts.join(", ")
}

fn spans(report: &TraceReport) -> String {
    let mut parts = vec![format!("generator: {}", report.generator_spans)];
    if let Some(counts) = report.server_spans {
        parts.push(format!("servers: {counts}"));
    }
    if let (Some(received), Some(refused)) = (report.spans_received, report.spans_refused) {
        parts.push(format!("received: {received}, refused: {refused}"));
    }
    parts.join("; ")
}
