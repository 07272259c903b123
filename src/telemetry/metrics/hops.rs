//! How long the hops take.

use metrics::{Histogram, Unit};

use crate::{
    hop::{Hop, Origin, Recipient},
    telemetry::{exemplars::exemplars, trace::SpanContext},
};

const HOP_DURATION: &str = "hopline_hop_duration_seconds";
const COMMIT_DURATION: &str = "hopline_persist_commit_duration_seconds";

/// A histogram for each hop; `total` is the load generator's to measure.
pub struct Hops {
    unlabelled: Vec<(Hop, Histogram)>,
    broadcast: [Histogram; 2],
    send: [Histogram; 3],
    commit: Histogram,
}

impl Hops {
    pub(super) fn register() -> Self {
        let help = "Time that messages spend in a hop; broadcast by origin, send by recipient.";
        metrics::describe_histogram!(HOP_DURATION, Unit::Seconds, help);
        let help = "Round trip that commits a batch: persist without its waiting.";
        metrics::describe_histogram!(COMMIT_DURATION, Unit::Seconds, help);
        let unlabelled = [Hop::Accept, Hop::Persist, Hop::Outbox, Hop::Publish, Hop::Receive];
        Self {
            unlabelled: unlabelled
                .map(|hop| (hop, metrics::histogram!(HOP_DURATION, "hop" => hop.as_str())))
                .into(),
            broadcast: [Origin::Own, Origin::Peer].map(|origin| {
                metrics::histogram!(HOP_DURATION, "hop" => Hop::Broadcast.as_str(), "origin" => origin.as_str())
            }),
            send: Recipient::ALL.map(|recipient| {
                metrics::histogram!(HOP_DURATION, "hop" => Hop::Send.as_str(), "recipient" => recipient.as_str())
            }),
            commit: metrics::histogram!(COMMIT_DURATION),
        }
    }

    /// Records that a message spent `duration_us` microseconds in a hop without further labels: not in `broadcast`
    /// or `send`, which have functions of their own.
    pub fn record(&self, hop: Hop, duration_us: u64) {
        let known = self.unlabelled.iter().find(|(known, _)| *known == hop);
        known.expect("a hop without labels").1.record(seconds(duration_us));
    }

    /// Records a broadcast that took `duration_us` microseconds, with its trace if it is sampled. A healed
    /// message has none.
    pub fn broadcast(&self, origin: Origin, duration_us: u64, trace: Option<&SpanContext>) {
        if origin != Origin::Healed {
            let is_own = origin == Origin::Own;
            self.broadcast[usize::from(!is_own)].record(seconds(duration_us));
            if let Some(exemplars) = exemplars() {
                exemplars.broadcast(is_own, seconds(duration_us), trace);
            }
        }
    }

    /// Records that a recipient's socket took the frame after `duration_us` microseconds.
    pub fn send(&self, recipient: Recipient, duration_us: u64) {
        self.send[recipient as usize].record(seconds(duration_us));
    }

    /// Records that a batch was committed in `duration_us` microseconds.
    pub fn commit(&self, duration_us: u64) {
        self.commit.record(seconds(duration_us));
    }
}

fn seconds(duration_us: u64) -> f64 {
    duration_us as f64 / 1e6
}
