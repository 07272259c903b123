//! The load generator's own spans: which messages are sampled, what is recorded of them, and how it is sent.

mod counts;
mod message;
mod outbox;
mod sampling;

pub(crate) use counts::SpanCounts;
pub(crate) use message::{MessageSpans, Slow};
pub(crate) use outbox::{Outbox, SpanCounters};
pub(crate) use sampling::Sampling;

#[cfg(test)]
mod tests;
