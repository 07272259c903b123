//! Who talks to whom: the part of a workload that has nothing to do with when messages are due.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Who talks to whom.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Layout {
    /// Channels, new ones for each run.
    pub(crate) channels: usize,
    /// How messages are spread over them.
    pub(crate) popularity: Popularity,
    /// Publishing connections, spread evenly over the servers.
    pub(crate) publishers: usize,
    /// Subscribing connections, spread evenly over channels, each subscribed to one channel.
    pub(crate) subscribers: usize,
    /// How these are spread over the servers.
    pub(crate) spread: Spread,
    /// Subscribers that drop their connection now and then, come back at once, and recover what they missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reconnect: Option<Reconnect>,
    /// Subscribers that leave now and then, and join again later as new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) churn: Option<Churn>,
    /// Length of each message's text.
    pub(crate) body_bytes: Bodies,
    /// Decides which message goes to which channel, and which subscribers come and go.
    pub(crate) seed: u64,
}

/// How messages are spread over channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Popularity {
    /// All channels alike.
    Uniform,
    /// The n-th channel gets `1 / n^exponent` of what the first one gets.
    Zipf(f64),
    /// The first channel gets this share, the others the rest alike.
    HotShare(f64),
}

/// How subscribers are spread over servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Spread {
    /// Each channel's subscribers over all servers.
    Even,
    /// All of them on the first server.
    OneServer,
}

/// A share of subscribers that reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Reconnect {
    pub(crate) share: f64,
    /// Each of them so often.
    pub(crate) every_s: f64,
}

/// A share of subscribers that come and go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Churn {
    pub(crate) share: f64,
    /// Each of them stays so long …
    pub(crate) stay_s: f64,
    /// … and is then away so long.
    pub(crate) away_s: f64,
}

/// The length of messages' texts, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Bodies {
    /// The same for all.
    Fixed(usize),
    /// All lengths in a range alike.
    Range(Range),
}

/// From one length to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Range {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl Layout {
    /// Which of the servers a publisher connects to.
    pub(crate) fn publishers_server(publisher: usize, servers: usize) -> usize {
        publisher % servers
    }

    /// Which channel a subscriber listens to.
    pub(crate) fn subscribers_channel(&self, subscriber: usize) -> usize {
        subscriber % self.channels
    }

    /// Which of the servers a subscriber connects to.
    pub(crate) fn subscribers_server(&self, subscriber: usize, servers: usize) -> usize {
        let (round, channel) = (subscriber / self.channels, subscriber % self.channels);
        match self.spread {
            Spread::Even => (round + channel) % servers,
            Spread::OneServer => 0,
        }
    }

    /// How many clients connect to each of the servers.
    pub(crate) fn clients_by_server(&self, servers: usize) -> Vec<usize> {
        let mut counts = vec![0; servers];
        (0..self.publishers).for_each(|number| counts[Self::publishers_server(number, servers)] += 1);
        (0..self.subscribers).for_each(|number| counts[self.subscribers_server(number, servers)] += 1);
        counts
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            channels: 50,
            popularity: Popularity::Uniform,
            publishers: 30,
            subscribers: 300,
            spread: Spread::Even,
            reconnect: None,
            churn: None,
            body_bytes: Bodies::Fixed(200),
            seed: 1,
        }
    }
}

impl Bodies {
    pub(crate) const fn min(self) -> usize {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Range(range) => range.min,
        }
    }

    pub(crate) const fn max(self) -> usize {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Range(range) => range.max,
        }
    }

    /// The length of this message's text. Whoever reads the message can tell, too.
    pub(crate) fn length(self, index: u32) -> usize {
        // Fibonacci hashing: neighbours differ, and every length comes equally often.
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let hash = u64::from(index).wrapping_mul(GOLDEN) >> 32;
        let lengths = (self.max() - self.min() + 1) as u64;
        self.min() + usize::try_from((hash * lengths) >> 32).unwrap_or_default()
    }
}

impl fmt::Display for Bodies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(bytes) => bytes.fmt(formatter),
            Self::Range(Range { min, max }) => write!(formatter, "{min}–{max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channels_subscribers_are_spread_over_all_servers() {
        let layout = Layout::default();
        for channel in 0..layout.channels {
            let servers: Vec<_> = (0..layout.subscribers)
                .filter(|&subscriber| layout.subscribers_channel(subscriber) == channel)
                .map(|subscriber| layout.subscribers_server(subscriber, 3))
                .collect();
            for server in 0..3 {
                assert_eq!(servers.iter().filter(|&&one| one == server).count(), 2);
            }
        }
        assert_eq!(layout.clients_by_server(3), [110, 110, 110]);
        let one = Layout { spread: Spread::OneServer, ..layout };
        assert_eq!(one.clients_by_server(3), [310, 10, 10]);
    }

    #[test]
    fn lengths_of_a_range_come_equally_often() {
        let bodies = Bodies::Range(Range { min: 100, max: 199 });
        let mut counts = [0; 100];
        (0..10_000).for_each(|index| counts[bodies.length(index) - 100] += 1);
        assert!(counts.iter().all(|count| (90..=110).contains(count)), "{counts:?}");
        assert_eq!(Bodies::Fixed(64).length(7), 64);
    }
}
