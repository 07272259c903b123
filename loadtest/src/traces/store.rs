//! Where received spans are kept.

use std::{cmp::Reverse, collections::HashMap};

use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::{
    otlp::{self, Shared},
    span::Span,
    trace::Trace,
};

/// Spans that a store holds: those of 40 s of 500 messages a second to three servers, all sampled, with room
/// to spare. A span takes about 450 bytes, so a full store takes 180 MB.
pub const SPANS_MAX: usize = 400_000;

/// Spans by their traces, up to a limit. What doesn't fit is refused, so that the traces that are there stay
/// whole, and counted.
#[derive(Debug, Default)]
pub struct Store {
    spans: Vec<Span>,
    by_trace: HashMap<TraceId, Vec<u32>>,
    refused: u64,
    shared: Shared,
    /// Below [`SPANS_MAX`] in tests.
    spans_max: usize,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_limit(SPANS_MAX)
    }

    pub(super) fn with_limit(spans_max: usize) -> Self {
        Self { spans_max, ..Self::default() }
    }

    /// Adds spans; returns how many were refused because it is full.
    pub fn add(&mut self, resources: Vec<ResourceSpans>) -> u64 {
        let mut refused = 0;
        for span in otlp::spans(resources, &mut self.shared) {
            if self.spans.len() >= self.spans_max {
                refused += 1;
                continue;
            }
            let place = u32::try_from(self.spans.len()).unwrap_or(u32::MAX);
            self.by_trace.entry(span.trace_id).or_default().push(place);
            self.spans.push(span);
        }
        self.refused += refused;
        refused
    }

    /// Forgets all spans; what was refused stays counted.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.by_trace.clear();
    }

    /// All spans, in the order in which they came.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How many spans were refused because it was full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The identities of all traces, in no order.
    pub fn trace_ids(&self) -> impl Iterator<Item = TraceId> {
        self.by_trace.keys().copied()
    }

    /// The spans of a trace, in the order in which they came.
    pub fn spans_of(&self, id: TraceId) -> impl Iterator<Item = &Span> {
        self.by_trace.get(&id).into_iter().flatten().map(|&place| &self.spans[place as usize])
    }

    /// A trace; none if no span of it is there.
    pub fn trace(&self, id: TraceId) -> Option<Trace> {
        Trace::of(self.spans_of(id).cloned().collect())
    }

    /// The traces whose roots took longest, the slowest first. A trace without its root isn't among them.
    pub fn slowest(&self, count: usize) -> Vec<TraceId> {
        let roots = self.spans.iter().filter(|span| span.is_root());
        let mut roots: Vec<_> = roots.map(|span| (span.duration_ns(), span.trace_id)).collect();
        roots.sort_by_key(|(ns, _)| Reverse(*ns));
        roots.truncate(count);
        roots.into_iter().map(|(_, id)| id).collect()
    }
}
