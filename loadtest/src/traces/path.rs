//! Where the time of a traced message went.

use hopline::hop::Hop;

use super::{span::Span, trace::Trace};

/// The hops on the way to the recipient that got the message last, which add up to `total`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The last recipient's server.
    pub(crate) node: String,
    /// `total`.
    pub(crate) total_ns: u64,
    /// The hops that follow one another, and how long each took.
    pub(crate) hops: Vec<(Hop, u64)>,
}

impl Path {
    /// None if the trace lacks a span on this way.
    pub(crate) fn of(trace: &Trace) -> Option<Self> {
        let total = trace.root()?;
        let first = |hop: Hop| trace.named(hop.as_str()).next();
        let (accept, persist) = (first(Hop::Accept)?, first(Hop::Persist)?);
        let send = trace.named(Hop::Send.as_str()).max_by_key(|span| span.end_ns)?;
        let receive = trace.span(send.parent_id)?;
        let publish = trace.span(receive.parent_id)?;
        let broadcast_ns = receive.start_ns.saturating_sub(publish.start_ns);
        Some(Self {
            node: send.source.instance.clone(),
            total_ns: total.duration_ns(),
            hops: vec![
                (Hop::Accept, accept.duration_ns()),
                (Hop::Persist, persist.duration_ns()),
                (Hop::Broadcast, broadcast_ns),
                (Hop::Receive, receive.duration_ns()),
                (Hop::Send, send.duration_ns()),
            ],
        })
    }

    /// What is left of `total`: before the server had the frame, between the hops, and after the last socket
    /// took the message. Negative if the hops overlap.
    pub(crate) fn unexplained_ns(&self) -> i64 {
        let hops: u64 = self.hops.iter().map(|(_, ns)| ns).sum();
        i64::try_from(self.total_ns).unwrap_or(i64::MAX) - i64::try_from(hops).unwrap_or(i64::MAX)
    }
}

/// The lane of a waterfall that a span belongs to: its server, or who isn't one.
pub(crate) fn lane(span: &Span) -> &str {
    if span.source.instance.is_empty() { "clients" } else { &span.source.instance }
}
