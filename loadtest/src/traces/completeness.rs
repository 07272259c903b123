//! Whether the traces of sampled messages are whole.

use std::collections::BTreeMap;

use opentelemetry::trace::TraceId;
use serde::Serialize;

use super::{
    span::{Span, Value},
    store::Store,
};

/// A sampled message that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) trace_id: TraceId,
    /// By server, whether it has recipients of the message.
    pub(crate) has_recipients: &'a [bool],
}

/// How many messages have a trace with all its spans: `total`, `accept`, `persist` and `publish`, a `receive` of
/// every server, a `send` and a `deliver` of every server that has recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Completeness {
    /// Messages that were sampled and acknowledged.
    pub(crate) messages: u64,
    /// Those whose trace is whole.
    pub(crate) complete: u64,
    /// Spans that the others lack, by name.
    pub(crate) missing: BTreeMap<&'static str, u64>,
}

/// The spans that a message has once.
const ONCE: [&str; 4] = ["total", "accept", "persist", "publish"];
const RECEIVE: &str = "receive";
/// The spans that a message has once a server.
const BY_SERVER: [&str; 3] = [RECEIVE, "send", "deliver"];

impl Completeness {
    /// Looks for the spans of these messages. `nodes` are the servers' names.
    pub(crate) fn of<'a>(
        store: &Store,
        nodes: &[String],
        messages: impl Iterator<Item = Expected<'a>>,
    ) -> Self {
        let mut completeness = Self::default();
        for message in messages {
            completeness.messages += 1;
            let missing = missing(store, nodes, message);
            completeness.complete += u64::from(missing.is_empty());
            for name in missing {
                *completeness.missing.entry(name).or_default() += 1;
            }
        }
        completeness
    }

    /// The share of messages whose trace is whole, in percent; none if there are no messages.
    pub(crate) fn percent(&self) -> Option<f64> {
        (self.messages > 0).then(|| self.complete as f64 / self.messages as f64 * 100.0)
    }
}

fn missing(store: &Store, nodes: &[String], message: Expected<'_>) -> Vec<&'static str> {
    let place = |names: &[&str], name: &str| names.iter().position(|it| *it == name);
    let mut once = [false; ONCE.len()];
    let mut by_server = vec![[false; BY_SERVER.len()]; nodes.len()];
    for span in store.spans_of(message.trace_id) {
        if let Some(number) = place(&ONCE, &span.name) {
            once[number] = true;
        } else if let Some(number) = place(&BY_SERVER, &span.name)
            && let Some(server) = nodes.iter().position(|node| node == server_of(span))
        {
            by_server[server][number] = true;
        }
    }
    let missing = ONCE.into_iter().zip(once).filter(|(_, is)| !is).map(|(name, _)| name);
    let mut missing: Vec<&str> = missing.collect();
    for (has_recipients, there) in message.has_recipients.iter().zip(by_server) {
        let owed = |name: &str| name == RECEIVE || *has_recipients;
        missing.extend(
            BY_SERVER.into_iter().zip(there).filter(|(name, is)| owed(name) && !is).map(|(name, _)| name),
        );
    }
    missing
}

/// The server whose span it is, or from which a client had the message.
fn server_of(span: &Span) -> &str {
    span.attribute("hopline.node").and_then(Value::as_text).unwrap_or(&span.source.instance)
}
