//! Whether the traces of sampled messages are whole.

use std::collections::BTreeMap;

use opentelemetry::trace::TraceId;
use serde::Serialize;

use super::{span::Value, store::Store};

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
/// The spans that a message has once a server.
const RECEIVE: &str = "receive";
const SEND: &str = "send";
const DELIVER: &str = "deliver";

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
    let mut once = [false; ONCE.len()];
    let by_node = || vec![false; nodes.len()];
    let (mut receive, mut send, mut deliver) = (by_node(), by_node(), by_node());
    let place = |node: &str| nodes.iter().position(|name| name == node);
    for span in store.spans_of(message.trace_id) {
        let (name, instance) = (&*span.name, &span.source.instance);
        if let Some(number) = ONCE.iter().position(|it| *it == name) {
            once[number] = true;
        } else if name == RECEIVE {
            place(instance).map(|node| receive[node] = true);
        } else if name == SEND {
            place(instance).map(|node| send[node] = true);
        } else if name == DELIVER {
            let node = span.attribute("hopline.node").and_then(Value::as_text);
            node.and_then(place).map(|node| deliver[node] = true);
        }
    }
    let mut missing: Vec<&str> =
        ONCE.into_iter().zip(once).filter(|(_, is)| !is).map(|(name, _)| name).collect();
    missing.extend(receive.iter().filter(|is| !**is).map(|_| RECEIVE));
    for (name, is) in [(SEND, send), (DELIVER, deliver)] {
        let owed = message.has_recipients.iter().zip(is);
        missing.extend(owed.filter(|(wanted, is)| **wanted && !is).map(|_| name));
    }
    missing
}
