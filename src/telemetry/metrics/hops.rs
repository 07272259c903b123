//! How long the hops take.

use metrics::{Histogram, Unit};

use crate::{
    hop::{Hop, Origin, Recipient},
    telemetry::{exemplars::exemplars, trace::SpanContext},
};

/// Bounds of the duration histograms: the E12 series of preferred numbers, whose neighbours lie at most
/// 1.25× apart, from 10 µs to 10 s, and 500 ms, because a budget stands there.
pub(in crate::telemetry) fn duration_bounds_seconds() -> Vec<f64> {
    const E12: [f64; 12] = [1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2];
    // Divided, not multiplied: 5.6 / 1e5 prints as 0.000056, 5.6 * 1e-5 does not.
    let decades = [1e5, 1e4, 1e3, 1e2, 1e1, 1e0];
    let mut bounds: Vec<f64> =
        decades.iter().flat_map(|decade| E12.map(|number| number / decade)).chain([0.5, 10.0]).collect();
    bounds.sort_by(f64::total_cmp);
    bounds
}

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
        let unlabelled = [Hop::Accept, Hop::Persist, Hop::Publish, Hop::Receive];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_bounds_lie_at_most_a_quarter_apart_and_the_budgets_are_among_them() {
        let bounds = duration_bounds_seconds();
        for pair in bounds.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] / pair[0] <= 1.2501, "{pair:?}");
        }
        assert!(bounds[0] <= 50e-6 && *bounds.last().unwrap() >= 10.0);
        assert!(bounds.contains(&0.001) && bounds.contains(&0.5));
    }
}
