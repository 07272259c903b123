//! What a run does: how much of what, and when each message is due.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;

/// Who talks to whom: the part of a workload that has nothing to do with time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Layout {
    /// Channels, new ones for each run.
    pub(crate) channels: usize,
    /// Publishing connections, spread evenly over the servers.
    pub(crate) publishers: usize,
    /// Subscribing connections, spread evenly over channels and servers, each subscribed to one channel.
    pub(crate) subscribers: usize,
    /// Length of each message's text.
    pub(crate) body_bytes: usize,
    /// Decides which message goes to which channel.
    pub(crate) seed: u64,
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

    /// Which of the servers a subscriber connects to: each channel's are spread over all of them.
    pub(crate) fn subscribers_server(&self, subscriber: usize, servers: usize) -> usize {
        let (round, channel) = (subscriber / self.channels, subscriber % self.channels);
        (round + channel) % servers
    }
}

/// An open workload: messages are due at a constant rate, whatever the system does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Workload {
    /// Who talks to whom.
    #[serde(flatten)]
    pub(crate) layout: Layout,
    /// Messages a second, over all publishers.
    pub(crate) rate_per_s: f64,
    /// Messages due in this time from the start count for no latency, but for the audit.
    #[serde(rename = "warm_up_s", serialize_with = "seconds")]
    pub(crate) warm_up: Duration,
    /// How long it goes on after the warm-up.
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    pub(crate) duration: Duration,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            layout: Layout { channels: 50, publishers: 30, subscribers: 300, body_bytes: 200, seed: 1 },
            rate_per_s: 500.0,
            warm_up: Duration::from_secs(5),
            duration: Duration::from_secs(30),
        }
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Every message of a run, in the order in which they are due. Message `i` is publisher `i % publishers`'s.
#[derive(Debug)]
pub(crate) struct Plan {
    interval: Duration,
    publishers: usize,
    channels: Vec<u16>,
}

impl Plan {
    /// The same workload always makes the same plan.
    pub(crate) fn new(workload: &Workload) -> Self {
        let layout = &workload.layout;
        let length = (workload.warm_up + workload.duration).as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and limited by the flags"
        )]
        let messages = (length * workload.rate_per_s).round() as usize;
        let mut random = StdRng::seed_from_u64(layout.seed);
        let channels = u16::try_from(layout.channels).expect("limited by the flags");
        Self {
            interval: Duration::from_secs_f64(1.0 / workload.rate_per_s),
            publishers: layout.publishers,
            channels: (0..messages).map(|_| random.random_range(0..channels)).collect(),
        }
    }

    /// How many messages there are.
    pub(crate) fn messages(&self) -> u32 {
        u32::try_from(self.channels.len()).expect("limited by the flags")
    }

    /// How many of them are this publisher's.
    pub(crate) fn messages_of(&self, publisher: usize) -> usize {
        self.channels.len().saturating_sub(publisher).div_ceil(self.publishers)
    }

    /// When a message is due, from the start.
    pub(crate) fn intended(&self, index: u32) -> Duration {
        // Multiplied in nanoseconds, so that rounding doesn't add up.
        Duration::from_nanos(
            u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).saturating_mul(u64::from(index)),
        )
    }

    /// The same in microseconds.
    pub(crate) fn intended_us(&self, index: u32) -> u32 {
        u32::try_from(self.intended(index).as_micros()).unwrap_or(u32::MAX)
    }

    /// How many messages are due so long after the start.
    pub(crate) fn due(&self, now_us: u32) -> u32 {
        let passed = Duration::from_micros(u64::from(now_us)).as_nanos() / self.interval.as_nanos().max(1);
        u32::try_from(passed + 1).unwrap_or(u32::MAX).min(self.messages())
    }

    pub(crate) fn channel(&self, index: u32) -> u16 {
        self.channels[index as usize]
    }

    pub(crate) fn publisher(&self, index: u32) -> usize {
        index as usize % self.publishers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_default_plan_uses_every_pair_of_publisher_and_channel() {
        let plan = Plan::new(&Workload::default());
        assert_eq!(plan.messages(), 17_500);
        let pairs: HashSet<_> = (0..plan.messages()).map(|i| (plan.publisher(i), plan.channel(i))).collect();
        assert_eq!(pairs.len(), 30 * 50);
        let of_all: usize = (0..30).map(|publisher| plan.messages_of(publisher)).sum();
        assert_eq!(of_all, 17_500);
    }

    #[test]
    fn messages_are_due_at_a_constant_rate() {
        let plan = Plan::new(&Workload::default());
        assert_eq!(plan.intended(0), Duration::ZERO);
        assert_eq!(plan.intended(17_499), Duration::from_millis(34_998));
        assert_eq!([0, 1_999, 2_000, 99_000_000].map(|us| plan.due(us)), [1, 1, 2, 17_500]);
    }

    #[test]
    fn a_channels_subscribers_are_spread_over_all_servers() {
        let layout = Workload::default().layout;
        for channel in 0..layout.channels {
            let servers: Vec<_> = (0..layout.subscribers)
                .filter(|&subscriber| layout.subscribers_channel(subscriber) == channel)
                .map(|subscriber| layout.subscribers_server(subscriber, 3))
                .collect();
            for server in 0..3 {
                assert_eq!(servers.iter().filter(|&&one| one == server).count(), 2);
            }
        }
    }
}
