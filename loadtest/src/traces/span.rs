//! A span as it is kept: small, since there may be hundreds of thousands.

use std::{fmt, sync::Arc};

use opentelemetry::trace::{SpanId, SpanKind, TraceId};

/// Who made a span.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`: a server's name; empty if there is none.
    pub instance: String,
    /// The instrumentation scope's name.
    pub scope: String,
}

/// A finished span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own identity.
    pub span_id: SpanId,
    /// Its parent; [`SpanId::INVALID`] if it is a root.
    pub parent_id: SpanId,
    /// Who made it.
    pub source: Arc<Source>,
    /// Its name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: SpanKind,
    /// When it began: Unix time in nanoseconds.
    pub start_ns: u64,
    /// When it ended: Unix time in nanoseconds.
    pub end_ns: u64,
    /// Its attributes, in the order in which they came.
    pub attributes: Box<[(Arc<str>, Value)]>,
    /// Spans that it has to do with beside its parent.
    pub links: Box<[Link]>,
    /// Why it failed, if its status is an error.
    pub error: Option<Box<str>>,
}

/// A reference to another span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The other span's trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text. Values of other kinds (arrays, maps, bytes) are kept as text, too.
    Text(Box<str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Yes or no.
    Bool(bool),
}

impl Span {
    /// How long it took, in nanoseconds; 0 if it ended before it began.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// Whether it has no parent.
    pub fn is_root(&self) -> bool {
        self.parent_id == SpanId::INVALID
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(name, _)| **name == *key).map(|(_, value)| value)
    }
}

impl Value {
    /// The text; none if it is something else.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number; none if it is something else.
    pub fn as_double(&self) -> Option<f64> {
        if let Self::Double(number) = self { Some(*number) } else { None }
    }

    /// The whole number; none if it is something else.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Int(number) => number.fmt(formatter),
            Self::Double(number) => number.fmt(formatter),
            Self::Bool(yes) => yes.fmt(formatter),
        }
    }
}
