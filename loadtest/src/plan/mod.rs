//! What a run does: how much of what, and when each message is due.

mod habit;
mod layout;

use std::time::Duration;

use rand::{
    RngExt, SeedableRng,
    distr::{Distribution, weighted::WeightedIndex},
    rngs::StdRng,
};
use serde::Serialize;

pub(crate) use habit::Habit;
pub(crate) use layout::{Bodies, Churn, Layout, Popularity, Range, Reconnect, Spread};

/// An open workload: messages are due at a planned rate, whatever the system does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Workload {
    /// Who talks to whom.
    #[serde(flatten)]
    pub(crate) layout: Layout,
    /// Messages a second, over all publishers; if there are steps, the rate of the first one.
    pub(crate) rate_per_s: f64,
    /// Rates that follow one another from the end of the warm-up. The last one goes on until the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) steps: Vec<Step>,
    /// Messages due in this time from the start count for no latency, but for the audit.
    #[serde(rename = "warm_up_s", serialize_with = "seconds")]
    pub(crate) warm_up: Duration,
    /// How long it goes on after the warm-up.
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    pub(crate) duration: Duration,
}

/// A rate, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Step {
    pub(crate) rate_per_s: f64,
    pub(crate) seconds: f64,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            rate_per_s: 500.0,
            steps: Vec::new(),
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
    stages: Vec<Stage>,
    publishers: usize,
    channels: Vec<u16>,
}

/// Messages that are due at a constant rate.
#[derive(Clone, Copy, Debug)]
struct Stage {
    start: Duration,
    interval: Duration,
    /// The first of its messages.
    first: u32,
}

impl Plan {
    /// The same workload always makes the same plan.
    pub(crate) fn new(workload: &Workload) -> Self {
        let (stages, messages) = stages(workload);
        let layout = &workload.layout;
        Self { stages, publishers: layout.publishers, channels: channels(layout, messages) }
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
        let after = self.stages.partition_point(|stage| stage.first <= index);
        let stage = &self.stages[after.saturating_sub(1)];
        // Multiplied in nanoseconds, so that rounding doesn't add up.
        let nanos = u64::try_from(stage.interval.as_nanos()).unwrap_or(u64::MAX);
        stage.start + Duration::from_nanos(nanos.saturating_mul(u64::from(index - stage.first)))
    }

    /// The same in microseconds.
    pub(crate) fn intended_us(&self, index: u32) -> u32 {
        u32::try_from(self.intended(index).as_micros()).unwrap_or(u32::MAX)
    }

    /// How many messages are due so long after the start.
    pub(crate) fn due(&self, now_us: u32) -> u32 {
        let now = Duration::from_micros(u64::from(now_us));
        let after = self.stages.partition_point(|stage| stage.start <= now);
        let Some(stage) = self.stages[..after].last() else {
            return 0;
        };
        let passed = now.saturating_sub(stage.start).as_nanos() / stage.interval.as_nanos().max(1);
        let due = u32::try_from(passed + 1).unwrap_or(u32::MAX).saturating_add(stage.first);
        due.min(self.stages.get(after).map_or(self.messages(), |next| next.first))
    }

    pub(crate) fn channel(&self, index: u32) -> u16 {
        self.channels[index as usize]
    }

    pub(crate) fn publisher(&self, index: u32) -> usize {
        index as usize % self.publishers
    }
}

/// The stages one after the other, and how many messages they make together.
fn stages(workload: &Workload) -> (Vec<Stage>, usize) {
    let end = (workload.warm_up + workload.duration).as_secs_f64();
    let whole = [Step { rate_per_s: workload.rate_per_s, seconds: end }];
    let steps = if workload.steps.is_empty() { &whole[..] } else { &workload.steps };
    let (mut stages, mut first, mut start) = (Vec::new(), 0, 0.0);
    for (number, step) in steps.iter().enumerate() {
        let warm_up = if number == 0 { workload.warm_up.as_secs_f64() } else { 0.0 };
        let until = if number + 1 == steps.len() { end } else { end.min(start + warm_up + step.seconds) };
        stages.push(Stage {
            start: Duration::from_secs_f64(start),
            interval: Duration::from_secs_f64(1.0 / step.rate_per_s),
            first: u32::try_from(first).expect("limited by the flags"),
        });
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and limited by the flags"
        )]
        let messages = ((until - start) * step.rate_per_s).round() as usize;
        (first, start) = (first + messages, until);
        if until >= end {
            break;
        }
    }
    (stages, first)
}

/// Each message's channel.
fn channels(layout: &Layout, messages: usize) -> Vec<u16> {
    let mut random = StdRng::seed_from_u64(layout.seed);
    let channels = u16::try_from(layout.channels).expect("limited by the flags");
    let weights: Vec<f64> = match layout.popularity {
        Popularity::Uniform => return (0..messages).map(|_| random.random_range(0..channels)).collect(),
        Popularity::Zipf(exponent) => (1..=channels).map(|n| f64::from(n).powf(-exponent)).collect(),
        Popularity::HotShare(_) if channels == 1 => vec![1.0],
        Popularity::HotShare(share) => {
            let others = (1.0 - share) / f64::from(channels - 1);
            (0..channels).map(|n| if n == 0 { share } else { others }).collect()
        }
    };
    let weighted = WeightedIndex::new(weights).expect("positive weights");
    let draw = |_| u16::try_from(weighted.sample(&mut random)).unwrap_or_default();
    (0..messages).map(draw).collect()
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
    fn steps_follow_one_another_and_the_last_one_goes_on() {
        let step = |rate_per_s, seconds| Step { rate_per_s, seconds };
        let workload = Workload {
            steps: vec![step(10.0, 2.0), step(100.0, 1.0), step(20.0, 1.0)],
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            ..Workload::default()
        };
        let plan = Plan::new(&workload);
        assert_eq!(plan.messages(), 30 + 100 + 40);
        assert_eq!(
            [0, 29, 30, 129, 130, 169].map(|index| plan.intended(index).as_millis()),
            [0, 2_900, 3_000, 3_990, 4_000, 5_950]
        );
        let due = [0, 2_999, 3_000, 3_015, 3_999, 4_000, 9_000].map(|ms| plan.due(ms * 1_000));
        assert_eq!(due, [1, 30, 31, 32, 130, 131, 170]);
        let cut = Plan::new(&Workload { duration: Duration::from_millis(2_500), ..workload });
        assert_eq!(cut.messages(), 30 + 50);
    }

    #[test]
    fn popular_channels_get_what_they_should() {
        let counts = |popularity| {
            let layout = Layout { popularity, channels: 4, ..Layout::default() };
            let mut counts = [0_u32; 4];
            for channel in channels(&layout, 100_000) {
                counts[usize::from(channel)] += 1;
            }
            counts.map(|count| f64::from(count) / 1_000.0)
        };
        let close = |found: [f64; 4], expected: [f64; 4]| {
            let is_close = found.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1.0);
            assert!(is_close, "{found:?} instead of {expected:?}");
        };
        close(counts(Popularity::Uniform), [25.0; 4]);
        close(counts(Popularity::Zipf(1.0)), [48.0, 24.0, 16.0, 12.0]);
        close(counts(Popularity::HotShare(0.7)), [70.0, 10.0, 10.0, 10.0]);
    }
}
