//! What becomes of traces on the load generator's side: an OTLP receiver that keeps them, whether each is
//! whole, and how they are shown and handed on.
//!
//! [`Receiver`] serves the integration tests as well.

mod completeness;
mod file;
mod jaeger;
mod otlp;
mod path;
mod receiver;
mod span;
mod store;
mod trace;

pub(crate) use completeness::{Completeness, Expected};
pub(crate) use file::{load, save};
pub(crate) use jaeger::export;
pub(crate) use path::{Path, lane};
pub use receiver::Receiver;
pub use span::{Link, Source, Span, Value};
pub use store::{SPANS_MAX, Store};
pub use trace::Trace;

#[cfg(test)]
mod tests;
