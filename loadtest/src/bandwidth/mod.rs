//! How many bytes leave the broker for each message: with one topic, of which every server gets everything, with a topic for
//! each channel, and with partitions of the channels on a cluster.

mod args;
mod measure;

use std::collections::HashSet;

use serde::Serialize;

use crate::plan::Layout;
pub use args::BandwidthArgs;
pub(crate) use measure::{Effort, Measured, measure};

/// How far the measurement may be from the model, as a share of what one topic takes.
const APART_MAX: f64 = 0.05;
/// What the decision claims to save.
pub(crate) const CLAIMED: f64 = 0.8;

/// One number of servers, and one of subscribers of each channel, each of them on another server as far as there are any.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) servers: usize,
    pub(crate) subscribers: usize,
    /// Bytes that Redis sent for each message, with one topic.
    pub(crate) one_topic_bytes: f64,
    /// With a topic for each channel.
    pub(crate) each_channel: Saving,
    /// With partitions on a cluster: all its nodes together, without what they tell one another.
    pub(crate) partitions: Saving,
}

/// What is sent, and what of it is saved.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Saving {
    /// Bytes that Redis sent for each message.
    pub(crate) bytes: f64,
    /// The share of what one topic takes that is saved.
    pub(crate) saved: f64,
    /// The same by the model: the share of servers that have no subscriber of a message's topic.
    pub(crate) expected: f64,
}

impl Saving {
    pub(crate) fn new(bytes: f64, one_topic_bytes: f64, expected: f64) -> Self {
        Self { bytes, saved: 1.0 - bytes / one_topic_bytes, expected }
    }

    /// Whether the model tells what was measured.
    pub(crate) fn is_as_expected(&self) -> bool {
        (self.saved - self.expected).abs() <= APART_MAX
    }

    /// Whether as much is saved as the decision claims.
    pub(crate) fn is_as_claimed(&self) -> bool {
        self.saved >= CLAIMED
    }
}

impl Point {
    /// Whether the models tell what was measured.
    pub(crate) fn is_as_expected(&self) -> bool {
        self.each_channel.is_as_expected() && self.partitions.is_as_expected()
    }
}

/// The saving = 1 − the expected share of servers with a subscriber of the topic: here of messages that are spread alike over
/// channels. `topics` has the topic of each channel.
pub(crate) fn expected_saving(layout: &Layout, servers: usize, topics: &[usize]) -> f64 {
    let mut wanted = HashSet::new();
    for subscriber in 0..layout.subscribers {
        let topic = topics[layout.subscribers_channel(subscriber)];
        wanted.insert((topic, layout.subscribers_server(subscriber, servers)));
    }
    let reached = |topic: &usize| (0..servers).filter(|server| wanted.contains(&(*topic, *server))).count();
    let count: usize = topics.iter().map(reached).sum();
    1.0 - count as f64 / (topics.len() * servers) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_subscriber_is_spared() {
        let layout = |subscribers| Layout { channels: 10, subscribers, ..Layout::default() };
        let own: Vec<usize> = (0..10).collect();
        for (subscribers, servers, saving) in
            [(10, 10, 0.9), (20, 8, 0.75), (80, 8, 0.0), (100, 8, 0.0), (10, 1, 0.0)]
        {
            let expected = expected_saving(&layout(subscribers), servers, &own);
            assert!((expected - saving).abs() < 1e-9, "{subscribers} on {servers}: {expected}");
        }
    }

    #[test]
    fn who_has_a_subscriber_of_another_channel_in_the_partition_is_not_spared() {
        let layout = Layout { channels: 4, subscribers: 4, ..Layout::default() };
        for (topics, saving) in [([0, 1, 2, 3], 0.75), ([0, 0, 1, 2], 0.625), ([0, 0, 0, 0], 0.0)] {
            let expected = expected_saving(&layout, 4, &topics);
            assert!((expected - saving).abs() < 1e-9, "{topics:?}: {expected}");
        }
    }

    #[test]
    fn a_saving_is_held_against_the_model_and_the_claim() {
        let saving = |bytes| Saving::new(bytes, 4_000.0, 0.875);
        assert!(saving(500.0).is_as_expected() && saving(500.0).is_as_claimed());
        assert!(!saving(800.1).is_as_expected());
        assert!(!saving(801.0).is_as_claimed());
    }
}
