//! How many bytes leave the broker for each message: with one topic, of which every server gets everything, and with a
//! topic for each channel.

mod args;
mod measure;

use serde::Serialize;

use crate::plan::Layout;
pub use args::BandwidthArgs;
pub(crate) use measure::{Effort, measure};

/// How far the measurement may be from the model, as a share of what one topic takes.
const APART_MAX: f64 = 0.05;
/// What the decision claims to save.
const CLAIMED: f64 = 0.8;

/// One number of servers, and one of subscribers of each channel, each of them on another server as far as there are any.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) servers: usize,
    pub(crate) subscribers: usize,
    /// Bytes that Redis sent for each message, with one topic.
    pub(crate) one_topic_bytes: f64,
    /// The same with a topic for each channel.
    pub(crate) each_channel_bytes: f64,
    /// The share of servers that have no subscriber of a message's channel.
    pub(crate) expected: f64,
}

impl Point {
    /// The share of the bytes that is saved.
    pub(crate) fn saved(&self) -> f64 {
        1.0 - self.each_channel_bytes / self.one_topic_bytes
    }

    /// Whether the model tells what was measured.
    pub(crate) fn is_as_expected(&self) -> bool {
        (self.saved() - self.expected).abs() <= APART_MAX
    }

    /// Whether as much is saved as the decision claims.
    pub(crate) fn is_as_claimed(&self) -> bool {
        self.saved() >= CLAIMED
    }
}

/// The saving = 1 − the expected share of servers with a subscriber: here of messages that are spread alike over channels.
pub(crate) fn expected_saving(layout: &Layout, servers: usize) -> f64 {
    let mut wanted = vec![vec![false; servers]; layout.channels];
    for subscriber in 0..layout.subscribers {
        wanted[layout.subscribers_channel(subscriber)][layout.subscribers_server(subscriber, servers)] = true;
    }
    let count = wanted.iter().flatten().filter(|wanted| **wanted).count();
    1.0 - count as f64 / (layout.channels * servers) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_subscriber_is_spared() {
        let layout = |subscribers| Layout { channels: 10, subscribers, ..Layout::default() };
        for (subscribers, servers, saving) in
            [(10, 10, 0.9), (20, 8, 0.75), (80, 8, 0.0), (100, 8, 0.0), (10, 1, 0.0)]
        {
            let expected = expected_saving(&layout(subscribers), servers);
            assert!((expected - saving).abs() < 1e-9, "{subscribers} on {servers}: {expected}");
        }
    }

    #[test]
    fn a_point_is_held_against_the_model_and_the_claim() {
        let point = |each_channel_bytes| Point {
            servers: 8,
            subscribers: 1,
            one_topic_bytes: 4_000.0,
            each_channel_bytes,
            expected: 0.875,
        };
        assert!(point(500.0).is_as_expected() && point(500.0).is_as_claimed());
        assert!(!point(800.1).is_as_expected());
        assert!(!point(801.0).is_as_claimed());
    }
}
