//! Latencies: histograms of every hop, made from the ledgers after the run.

mod gather;
mod reconcile;
mod traced;

use std::ops::Range;

use hdrhistogram::Histogram;
use hopline::hop::{Hop, Origin, Recipient};
use serde::{Serialize, Serializer};

use crate::run::Outcome;
use gather::Part;
pub(crate) use reconcile::Reconciliation;
pub(crate) use traced::traced;

const LONGEST_US: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// What a figure measures: a hop, or something that only the load generator sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// A hop of the vocabulary.
    Hop(Hop),
    /// From the intended time until the publisher has its acknowledgement.
    Ack,
    /// What a closed loop would have measured: from the moment at which the message was really sent, and only of
    /// those before which its publisher had all answers. What would have left while it waited, it never sees.
    ServiceAck,
    /// The same until another client has it.
    ServiceTotal,
    /// How late the generator itself was: from the intended time to the write to the socket.
    SendLag,
    /// From the hand-over to the recipients' queues until a client has the message: `send`, and `drain` after it.
    SendAndDrain,
    /// From the moment at which the last socket of a server took the message until its client has it: the kernel,
    /// and the generator's own turn. Only of traced messages.
    Drain,
    /// From the write to the socket until the server has the frame: half of what the acknowledgement took beside
    /// accept and persist, so that no other clock is asked.
    Uplink,
    /// By how much the hops miss `total`.
    Unexplained,
    /// From the beginning of a reconnection until everything missed has arrived.
    Recovery,
    /// From the beginning of a connection until its subscription stands, while the load is on.
    Join,
}

impl Measure {
    /// Everything that a report may show, in the order of a message's path.
    pub(crate) const ALL: [Self; 18] = [
        Self::SendLag,
        Self::Ack,
        Self::ServiceAck,
        Self::Uplink,
        Self::Hop(Hop::Accept),
        Self::Hop(Hop::Persist),
        Self::Hop(Hop::Outbox),
        Self::Hop(Hop::Publish),
        Self::Hop(Hop::Broadcast),
        Self::Hop(Hop::Receive),
        Self::Hop(Hop::Send),
        Self::Drain,
        Self::SendAndDrain,
        Self::Unexplained,
        Self::Hop(Hop::Total),
        Self::ServiceTotal,
        Self::Recovery,
        Self::Join,
    ];

    /// Whether there are figures by where the recipient's server had the message from.
    pub(crate) const fn has_origin(self) -> bool {
        matches!(self, Self::Hop(Hop::Broadcast))
    }

    /// Whether there are figures by which of a message's recipients it is.
    pub(crate) const fn has_recipient(self) -> bool {
        matches!(self, Self::Hop(Hop::Send | Hop::Total) | Self::SendAndDrain)
    }

    /// Whether there is a figure without a recipient or origin.
    pub(crate) const fn has_whole(self) -> bool {
        !matches!(self, Self::Hop(Hop::Send | Hop::Broadcast))
    }

    /// How reports spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hop(hop) => hop.as_str(),
            Self::Ack => "ack",
            Self::ServiceAck => "service_ack",
            Self::ServiceTotal => "service_total",
            Self::SendLag => "send_lag",
            Self::SendAndDrain => "send_and_drain",
            Self::Drain => "drain",
            Self::Uplink => "uplink",
            Self::Unexplained => "unexplained",
            Self::Recovery => "recovery",
            Self::Join => "join",
        }
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a series of figures is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Key {
    /// What it measures.
    pub(crate) measure: Measure,
    /// Where the recipient's server had the message from, where that is told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// Which of a message's recipients; without it, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recipient: Option<Recipient>,
}

impl Key {
    /// Whether it begins on one clock and ends on another one.
    pub(crate) fn compares_clocks(self) -> bool {
        matches!(self.measure, Measure::SendAndDrain | Measure::Drain) || self.origin == Some(Origin::Peer)
    }
}

/// A series of durations.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// What it is about.
    pub(crate) key: Key,
    histogram: Histogram<u64>,
}

/// The figures of a series that reports show, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// How many durations there are.
    pub(crate) count: u64,
    /// Median.
    pub(crate) p50_ms: f64,
    /// 90th percentile.
    pub(crate) p90_ms: f64,
    /// 99th percentile.
    pub(crate) p99_ms: f64,
    /// 99.9th percentile.
    pub(crate) p99_9_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
}

impl Series {
    /// An empty series.
    pub(crate) fn new(measure: Measure, origin: Option<Origin>, recipient: Option<Recipient>) -> Self {
        let histogram =
            Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds and the digits are legal");
        Self { key: Key { measure, origin, recipient }, histogram }
    }

    /// One more duration, in microseconds.
    pub(crate) fn record(&mut self, us: u32) {
        self.histogram.saturating_record(u64::from(us));
    }

    /// A negative duration counts as none: two clocks don't agree.
    fn record_difference(&mut self, us: i64) {
        self.histogram.saturating_record(u64::try_from(us).unwrap_or_default());
    }

    /// How many durations there are.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// A percentile, in milliseconds.
    pub(crate) fn percentile_ms(&self, percentile: f64) -> f64 {
        self.histogram.value_at_percentile(percentile) as f64 / 1_000.0
    }

    /// All durations, in microseconds.
    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// The mean, in milliseconds.
    pub(crate) fn mean_ms(&self) -> f64 {
        self.histogram.mean() / 1_000.0
    }

    /// The figures that reports show.
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            count: self.count(),
            p50_ms: self.percentile_ms(50.0),
            p90_ms: self.percentile_ms(90.0),
            p99_ms: self.percentile_ms(99.0),
            p99_9_ms: self.percentile_ms(99.9),
            max_ms: self.histogram.max() as f64 / 1_000.0,
        }
    }
}

/// How many figures a percentile below 100 takes: ten beyond it.
pub(crate) fn samples_min(percentile: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the percentile is below 100, so this is positive and small"
    )]
    let samples = (1_000.0 / (100.0 - percentile)).ceil() as u64;
    samples
}

/// All series of a run. Only messages that were due within the measured window count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Series>);

impl Latencies {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self::within(outcome, &outcome.window_us)
    }

    /// Those of messages that were due within a part of the run.
    pub(crate) fn within(outcome: &Outcome, window_us: &Range<u32>) -> Self {
        let mut all = Self(Vec::new());
        all.add(gather::all(&Part { outcome, window_us }));
        all
    }

    /// Adds series; they stand in the order of a message's path.
    pub(crate) fn add(&mut self, series: Vec<Series>) {
        self.0.extend(series);
        let place = |measure| Measure::ALL.iter().position(|it| *it == measure);
        self.0.sort_by_key(|series| place(series.key.measure));
    }

    /// Adds another run's.
    pub(crate) fn merge(&mut self, other: Self) {
        for series in other.0 {
            match self.0.iter_mut().find(|own| own.key == series.key) {
                Some(own) => own.histogram.add(&series.histogram).expect("all have the same bounds"),
                None => self.add(vec![series]),
            }
        }
    }

    /// The figures of so many lags.
    pub(crate) fn send_lag(lags_us: &[u32]) -> Summary {
        let mut series = Series::new(Measure::SendLag, None, None);
        for us in lags_us {
            series.record(*us);
        }
        series.summary()
    }

    /// One series of equal durations.
    #[cfg(test)]
    pub(crate) fn constant(key: Key, ms: u32, count: usize) -> Self {
        let mut series = Series::new(key.measure, key.origin, key.recipient);
        (0..count).for_each(|_| series.record(ms * 1_000));
        Self(vec![series])
    }

    /// All series that hold anything, in the order of a message's path.
    pub(crate) fn series(&self) -> impl Iterator<Item = &Series> {
        self.0.iter().filter(|series| series.count() > 0)
    }

    /// The series about something; none if nothing was measured.
    pub(crate) fn get(&self, key: Key) -> Option<&Series> {
        self.series().find(|series| series.key == key)
    }
}

#[cfg(test)]
mod tests;
