//! Whether the traces of sampled messages are whole.

use std::collections::BTreeMap;

use opentelemetry::trace::TraceId;
use serde::Serialize;

use super::{
    path::is_healed,
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

/// How many messages have a trace with all its spans, each below the right one: `total`, `accept`, `persist` and `publish`,
/// a `receive` of every server that the broker reaches with it, a `send` and a `deliver` of every server that has recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Completeness {
    /// Messages that were sampled and acknowledged.
    pub(crate) messages: u64,
    /// Those whose trace is whole.
    pub(crate) complete: u64,
    /// Spans that the others lack, by name.
    pub(crate) missing: BTreeMap<&'static str, u64>,
    /// Spans of the others that are not below the span that they belong to, by name.
    pub(crate) misplaced: BTreeMap<&'static str, u64>,
}

/// The spans that a message has once.
const ONCE: [&str; 4] = ["total", "accept", "persist", "publish"];
const RECEIVE: &str = "receive";
/// The spans that a message has once a server.
const BY_SERVER: [&str; 3] = [RECEIVE, "send", "deliver"];
/// Spans, and those of the same server that they are below.
const BELOW: [(&str, &str); 3] = [("persist", "accept"), ("send", RECEIVE), ("deliver", "send")];

impl Completeness {
    /// Looks for the spans of these messages. `nodes` are the servers' names; `all_receive` if the broker brings each message
    /// to all of them, else it does to those with recipients.
    pub(crate) fn of<'a>(
        store: &Store,
        nodes: &[String],
        all_receive: bool,
        messages: impl Iterator<Item = Expected<'a>>,
    ) -> Self {
        let mut completeness = Self::default();
        for message in messages {
            let spans: Vec<&Span> = store.spans_of(message.trace_id).collect();
            completeness.enter(&spans, nodes, message.has_recipients, all_receive);
        }
        completeness
    }

    fn enter(&mut self, spans: &[&Span], nodes: &[String], has_recipients: &[bool], all_receive: bool) {
        let (missing, misplaced) = (missing(spans, nodes, has_recipients, all_receive), misplaced(spans));
        self.messages += 1;
        self.complete += u64::from(missing.is_empty() && misplaced.is_empty());
        for name in missing {
            *self.missing.entry(name).or_default() += 1;
        }
        for name in misplaced {
            *self.misplaced.entry(name).or_default() += 1;
        }
    }

    /// Whether every message has a trace, and it is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.complete == self.messages
    }

    /// The share of messages whose trace is whole, in percent; none if there are no messages.
    pub(crate) fn percent(&self) -> Option<f64> {
        (self.messages > 0).then(|| self.complete as f64 / self.messages as f64 * 100.0)
    }
}

fn missing(
    spans: &[&Span],
    nodes: &[String],
    has_recipients: &[bool],
    all_receive: bool,
) -> Vec<&'static str> {
    let place = |names: &[&str], name: &str| names.iter().position(|it| *it == name);
    let mut once = [false; ONCE.len()];
    let mut by_server = vec![[false; BY_SERVER.len()]; nodes.len()];
    for span in spans {
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
    for (has_recipients, there) in has_recipients.iter().zip(by_server) {
        let owed = |name: &str| *has_recipients || (all_receive && name == RECEIVE);
        missing.extend(
            BY_SERVER.into_iter().zip(there).filter(|(name, is)| owed(name) && !is).map(|(name, _)| name),
        );
    }
    missing
}

fn misplaced(spans: &[&Span]) -> Vec<&'static str> {
    let is_below = |span: &Span, name: &str, on_same_server: bool| {
        let parent = spans.iter().find(|it| it.span_id == span.parent_id);
        let is_right = |parent: &&Span| {
            *parent.name == *name && (!on_same_server || server_of(parent) == server_of(span))
        };
        parent.is_some_and(is_right)
    };
    let misplaced = |span: &&Span| {
        let (name, is_right) = match &*span.name {
            "accept" => ("accept", is_below(span, "total", false)),
            // With an outbox another server may publish, and tells how long the message waited there.
            "outbox" => ("outbox", is_below(span, "accept", false)),
            "publish" => ("publish", is_below(span, "persist", true) || is_below(span, "outbox", true)),
            RECEIVE => (RECEIVE, is_below(span, if is_healed(span) { "accept" } else { "publish" }, false)),
            name => {
                let (name, above) = BELOW.into_iter().find(|(below, _)| *below == name)?;
                (name, is_below(span, above, true))
            }
        };
        (!is_right).then_some(name)
    };
    spans.iter().filter_map(misplaced).collect()
}

/// The server whose span it is, or from which a client had the message.
fn server_of(span: &Span) -> &str {
    span.attribute("hopline.node").and_then(Value::as_text).unwrap_or(&span.source.instance)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry::trace::{SpanId, SpanKind};

    use super::*;
    use crate::traces::Source;

    fn span(id: u64, parent: u64, name: &str, node: &str, attribute: Option<(&str, &str)>) -> Span {
        let attribute = attribute.map(|(key, text)| (key.into(), Value::Text(text.into())));
        Span {
            trace_id: TraceId::from(7),
            span_id: SpanId::from(id),
            parent_id: SpanId::from(parent),
            source: Arc::new(Source { instance: node.to_owned(), ..Source::default() }),
            name: name.into(),
            kind: SpanKind::Internal,
            start_ns: 0,
            end_ns: 0,
            attributes: attribute.into_iter().collect(),
            links: Box::new([]),
            error: None,
        }
    }

    /// Published on a, with recipients on a; healed on b, with none there.
    fn spans() -> Vec<Span> {
        vec![
            span(1, 0, "total", "", None),
            span(2, 1, "accept", "a", None),
            span(3, 2, "persist", "a", None),
            span(4, 3, "publish", "a", None),
            span(5, 4, "receive", "a", Some(("hopline.origin", "self"))),
            span(6, 5, "send", "a", None),
            span(7, 6, "deliver", "", Some(("hopline.node", "a"))),
            span(8, 2, "receive", "b", Some(("hopline.origin", "healed"))),
        ]
    }

    fn of(spans: &[Span]) -> Completeness {
        let mut completeness = Completeness::default();
        let nodes = ["a", "b"].map(str::to_owned);
        completeness.enter(&spans.iter().collect::<Vec<_>>(), &nodes, &[true, false], true);
        completeness
    }

    #[test]
    fn who_has_no_recipients_receives_only_what_the_broker_brings_to_all() {
        let mut spans = spans();
        spans.pop();
        assert!(!of(&spans).is_whole());
        let mut completeness = Completeness::default();
        let nodes = ["a", "b"].map(str::to_owned);
        completeness.enter(&spans.iter().collect::<Vec<_>>(), &nodes, &[true, false], false);
        assert!(completeness.is_whole());
    }

    #[test]
    fn a_trace_whose_spans_are_all_below_the_right_ones_is_whole() {
        assert!(of(&spans()).is_whole());
    }

    #[test]
    fn behind_an_outbox_any_server_may_publish() {
        let mut spans = spans();
        spans[3].parent_id = SpanId::from(9);
        assert!(!of(&spans).is_whole(), "without the span of the outbox");
        spans.push(span(9, 2, "outbox", "b", None));
        assert!(!of(&spans).is_whole(), "published on another server than the relay's");
        spans[3] = span(4, 9, "publish", "b", None);
        assert!(of(&spans).is_whole());
    }

    #[test]
    fn without_any_one_of_its_spans_a_trace_is_not_whole() {
        for lost in 0..spans().len() {
            let mut spans = spans();
            let name = spans.remove(lost).name;
            let completeness = of(&spans);
            assert!(!completeness.is_whole(), "without {name}");
            assert_eq!(completeness.missing.get(&*name), Some(&1));
        }
    }

    #[test]
    fn a_span_below_another_one_than_its_own_is_misplaced() {
        // What is published without its context has none above it; the others are below one that is not theirs.
        for (place, parent) in [(1, 0), (2, 1), (3, 2), (4, 2), (4, 3), (5, 4), (5, 8), (6, 5), (7, 4)] {
            let mut spans = spans();
            spans[place].parent_id = SpanId::from(parent);
            let completeness = of(&spans);
            assert!(!completeness.is_whole(), "{} below {parent}", spans[place].name);
            assert_eq!(completeness.misplaced.get(&*spans[place].name), Some(&1));
            assert!(completeness.missing.is_empty());
        }
    }
}
