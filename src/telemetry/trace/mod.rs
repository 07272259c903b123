//! One trace from the sending client to the receiving ones.
//!
//! No span is open while a message travels. Each hop's span is made when the hop is over, from the very stamps that
//! the histograms get, so that both agree and an unsampled message costs one test of a flag. The two spans
//! whose context has to travel on, `publish` and `send`, are opened at their beginning and ended with a stamp.
//! `docs/TELEMETRY.md` lists the spans with their parents, links and attributes.

mod context;
mod counting;
mod provider;
mod spans;

pub use context::{Incoming, traceparent};
pub use opentelemetry::trace::SpanContext;
pub use provider::{StartError, Traces, start, tracer};
pub use spans::{
    Accepted, Open, Received, accept, carried_by, commit, outbox, persist, publish, receive, send,
};
