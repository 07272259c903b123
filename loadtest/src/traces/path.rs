//! Where the time of a traced message went.

use hopline::hop::{Hop, Origin};

use super::{
    span::{Span, Value},
    trace::Trace,
};

/// What a healed message has instead of `broadcast`: from the commit until a server has read it from PostgreSQL.
const HEALING: &str = "healing";

/// The parts of the way to the recipient that got the message last, which add up to `total`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The last recipient's server.
    pub(crate) node: String,
    /// `total`.
    pub(crate) total_ns: u64,
    /// The hops that follow one another, or [`HEALING`], and how long each took.
    pub(crate) hops: Vec<(&'static str, u64)>,
}

impl Path {
    /// None if the trace lacks a span on this way. The way is followed from its end: a message that was published twice
    /// has two of its first spans, and only one of each leads on.
    pub(crate) fn of(trace: &Trace) -> Option<Self> {
        let total = trace.root()?;
        let send = trace.named(Hop::Send.as_str()).max_by_key(|span| span.end_ns)?;
        let receive = parent(trace, send, Hop::Receive)?;
        let lasted = |hop: Hop, span: &Span| (hop.as_str(), span.duration_ns());
        let (persist, between) = if is_healed(receive) {
            let persist = sibling(trace, receive, Hop::Persist)?;
            (persist, vec![(HEALING, receive.start_ns.saturating_sub(persist.end_ns))])
        } else {
            let publish = parent(trace, receive, Hop::Publish)?;
            let broadcast = (Hop::Broadcast.as_str(), receive.start_ns.saturating_sub(publish.start_ns));
            match parent(trace, publish, Hop::Outbox) {
                Some(outbox) => {
                    let persist = sibling(trace, outbox, Hop::Persist)?;
                    (persist, vec![lasted(Hop::Outbox, outbox), broadcast])
                }
                None => (parent(trace, publish, Hop::Persist)?, vec![broadcast]),
            }
        };
        let accept = parent(trace, persist, Hop::Accept)?;
        let mut hops = vec![lasted(Hop::Accept, accept), lasted(Hop::Persist, persist)];
        hops.extend(between);
        hops.extend([lasted(Hop::Receive, receive), lasted(Hop::Send, send)]);
        Some(Self { node: send.source.instance.clone(), total_ns: total.duration_ns(), hops })
    }

    /// What is left of `total`: before the server had the frame, between the hops, and after the last socket
    /// took the message. Negative if the hops overlap.
    pub(crate) fn unexplained_ns(&self) -> i64 {
        let hops: u64 = self.hops.iter().map(|(_, ns)| ns).sum();
        i64::try_from(self.total_ns).unwrap_or(i64::MAX) - i64::try_from(hops).unwrap_or(i64::MAX)
    }
}

/// The first span of this hop beside one whose parent is `accept`, as that of what is read from PostgreSQL is.
fn sibling<'a>(trace: &'a Trace, span: &Span, hop: Hop) -> Option<&'a Span> {
    let accept = parent(trace, span, Hop::Accept)?;
    trace.children(accept.span_id).find(|span| *span.name == *hop.as_str())
}

/// The span's parent, if it is of this hop.
fn parent<'a>(trace: &'a Trace, span: &Span, hop: Hop) -> Option<&'a Span> {
    trace.span(span.parent_id).filter(|parent| *parent.name == *hop.as_str())
}

/// Whether a `receive` had the message from PostgreSQL.
pub(super) fn is_healed(receive: &Span) -> bool {
    let origin = receive.attribute("hopline.origin").and_then(Value::as_text);
    origin == Some(Origin::Healed.as_str())
}

/// The lane of a waterfall that a span belongs to: its server, or who isn't one.
pub(crate) fn lane(span: &Span) -> &str {
    if span.source.instance.is_empty() { "clients" } else { &span.source.instance }
}
