//! One trace.

use std::cmp::Reverse;

use opentelemetry::trace::{SpanId, TraceId};

use super::span::Span;

/// The spans of a trace, by the time at which they began.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    id: TraceId,
    spans: Vec<Span>,
}

impl Trace {
    /// None without spans, which all must be of one trace.
    pub(crate) fn of(mut spans: Vec<Span>) -> Option<Self> {
        let id = spans.first()?.trace_id;
        spans.sort_by_key(|span| (span.start_ns, Reverse(span.end_ns), span.span_id.to_bytes()));
        Some(Self { id, spans })
    }

    /// Its identity.
    pub fn id(&self) -> TraceId {
        self.id
    }

    /// Its spans, the earliest first.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The span without a parent.
    pub fn root(&self) -> Option<&Span> {
        self.spans.iter().find(|span| span.is_root())
    }

    /// The span with this identity.
    pub fn span(&self, id: SpanId) -> Option<&Span> {
        self.spans.iter().find(|span| span.span_id == id)
    }

    /// All spans of this name, the earliest first.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| *span.name == *name)
    }

    /// The spans whose parent is this one.
    pub fn children(&self, parent: SpanId) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.parent_id == parent)
    }

    /// When it began: Unix time in nanoseconds.
    pub fn start_ns(&self) -> u64 {
        self.spans.iter().map(|span| span.start_ns).min().unwrap_or_default()
    }

    /// When its last span ended: Unix time in nanoseconds.
    pub fn end_ns(&self) -> u64 {
        self.spans.iter().map(|span| span.end_ns).max().unwrap_or_default()
    }
}
