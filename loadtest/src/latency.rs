//! Latencies: histograms of every hop, made from the ledgers after the run.

use std::ops::Range;

use hdrhistogram::Histogram;
use hopline::hop::{Hop, Origin, Recipient};
use serde::{Serialize, Serializer};

use crate::{
    audit::{Answer, Evidence, Ledger},
    run::{HopSample, Outcome},
};

const LONGEST_US: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// What a figure measures: a hop, or something that only the load generator sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// A hop of the vocabulary.
    Hop(Hop),
    /// From the intended time until the publisher has its acknowledgement.
    Ack,
    /// The same from the moment at which the message was really sent.
    ServiceAck,
    /// From the moment at which the message was really sent until another client has it.
    ServiceTotal,
    /// How late the generator itself was: from the intended time to the write to the socket.
    SendLag,
}

impl Measure {
    /// How reports spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hop(hop) => hop.as_str(),
            Self::Ack => "ack",
            Self::ServiceAck => "service_ack",
            Self::ServiceTotal => "service_total",
            Self::SendLag => "send_lag",
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

/// All series of a run. Only messages that were due within the measured window count.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Vec<Series>);

impl Latencies {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self::within(outcome, &outcome.window_us)
    }

    /// Those of messages that were due within a part of the run.
    pub(crate) fn within(outcome: &Outcome, window_us: &Range<u32>) -> Self {
        let evidence = &outcome.evidence;
        let is_measured = |intended_us: u32| window_us.contains(&intended_us);
        let mut all = publishers(evidence, is_measured);
        all.extend(hops(evidence, &outcome.samples, is_measured));
        all.extend(recipients(evidence, is_measured));
        Self(all)
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

/// What the publishers saw.
fn publishers(evidence: &Evidence, is_measured: impl Fn(u32) -> bool) -> Vec<Series> {
    let [mut lag, mut ack, mut service] =
        [Measure::SendLag, Measure::Ack, Measure::ServiceAck].map(|measure| Series::new(measure, None, None));
    for (_, record) in evidence.records.iter() {
        if !record.was_sent() || !is_measured(record.intended_us) {
            continue;
        }
        lag.record(record.sent_us.saturating_sub(record.intended_us));
        if let Answer::Acknowledged { .. } = record.answer {
            ack.record(record.answered_us.saturating_sub(record.intended_us));
            service.record(record.answered_us.saturating_sub(record.sent_us));
        }
    }
    vec![lag, ack, service]
}

/// What the servers told with the messages.
fn hops(evidence: &Evidence, samples: &[HopSample], is_measured: impl Fn(u32) -> bool) -> Vec<Series> {
    let hop = |hop, origin| Series::new(Measure::Hop(hop), origin, None);
    let (mut accept, mut persist) = (hop(Hop::Accept, None), hop(Hop::Persist, None));
    let mut own = hop(Hop::Broadcast, Some(Origin::Own));
    let mut peer = hop(Hop::Broadcast, Some(Origin::Peer));
    let mut receive = hop(Hop::Receive, None);
    // Each server tells of accept and persist; they happened once.
    let mut told: Vec<Vec<bool>> =
        evidence.records.0.iter().map(|records| vec![false; records.len()]).collect();
    for sample in samples {
        let measured =
            evidence.records.get(sample.index).is_some_and(|record| is_measured(record.intended_us));
        if !measured {
            continue;
        }
        receive.record(sample.receive_us);
        let Some((accept_us, persist_us, broadcast_us)) = sample.before_receive_us else {
            continue;
        };
        let (index, publishers) = (sample.index as usize, told.len());
        if !std::mem::replace(&mut told[index % publishers][index / publishers], true) {
            accept.record(accept_us);
            persist.record(persist_us);
        }
        match sample.origin {
            Origin::Own => own.record(broadcast_us),
            Origin::Peer => peer.record(broadcast_us),
            Origin::Healed => {}
        }
    }
    vec![accept, persist, own, peer, receive]
}

/// What the subscribers saw: each delivery, and of each message the first, median and last one.
fn recipients(evidence: &Evidence, is_measured: impl Fn(u32) -> bool) -> Vec<Series> {
    let total = |recipient| Series::new(Measure::Hop(Hop::Total), None, recipient);
    let (mut all, mut service) = (total(None), Series::new(Measure::ServiceTotal, None, None));
    let [mut first, mut median, mut last] = Recipient::ALL.map(|recipient| total(Some(recipient)));
    let mut of_message = Vec::new();
    for channel in 0..evidence.channels.len() {
        let ledgers: Vec<&Ledger> =
            evidence.ledgers.iter().filter(|ledger| ledger.channel == channel).collect();
        let length = ledgers.iter().map(|ledger| ledger.last_seq()).max().unwrap_or_default();
        for seq in 1..=length {
            of_message.clear();
            for received in ledgers.iter().filter_map(|ledger| ledger.get(seq)) {
                let Some(record) = evidence.records.get(received.index) else {
                    continue;
                };
                if is_measured(record.intended_us) {
                    of_message.push(received.at_us.saturating_sub(record.intended_us));
                    service.record(received.at_us.saturating_sub(record.sent_us));
                }
            }
            of_message.sort_unstable();
            for us in &of_message {
                all.record(*us);
            }
            if let (Some(&earliest), Some(&latest)) = (of_message.first(), of_message.last()) {
                first.record(earliest);
                median.record(of_message[(of_message.len() - 1) / 2]);
                last.record(latest);
            }
        }
    }
    vec![all, first, median, last, service]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Received, Record, Records},
        cpu::Watched,
    };

    /// One message each at 1 s and 2 s; three subscribers; the first message belongs to the warm-up.
    fn outcome() -> Outcome {
        let record = |intended_us, seq| Record {
            channel: 0,
            intended_us,
            sent_us: intended_us + 100,
            answered_us: intended_us + 1_000,
            answer: Answer::Acknowledged { seq, id_tail: 0 },
        };
        let ledgers = [2_000, 3_000, 5_000].iter().enumerate().map(|(number, delay_us)| {
            let mut ledger = Ledger::new(number, 0, 0, 10);
            ledger.record(1, Received { index: 0, at_us: 9_000_000, id_tail: 0 });
            ledger.record(2, Received { index: 1, at_us: 2_000_000 + delay_us, id_tail: 0 });
            ledger
        });
        let sample = |origin, broadcast_us| HopSample {
            index: 1,
            origin,
            before_receive_us: Some((10, 500, broadcast_us)),
            receive_us: 20,
        };
        let cpu = Watched::default().cpu();
        Outcome {
            evidence: Evidence {
                channels: vec!["general".to_owned()],
                records: Records(vec![vec![record(1_000_000, 1), record(2_000_000, 2)]]),
                ledgers: ledgers.collect(),
                history: vec![Vec::new()],
            },
            samples: vec![sample(Origin::Own, 150), sample(Origin::Peer, 300)],
            window_us: 2_000_000..3_000_000,
            cpu: cpu.since(&cpu, std::time::Duration::from_secs(1), 3),
            traced: None,
            flaws: Vec::new(),
        }
    }

    #[track_caller]
    fn assert_one(latencies: &Latencies, key: Key, expected_ms: f64) {
        let series = latencies.get(key).unwrap_or_else(|| panic!("no {key:?}"));
        assert_eq!(series.count(), 1, "{key:?}");
        assert!((series.percentile_ms(50.0) / expected_ms - 1.0).abs() < 0.002, "{key:?}");
    }

    #[test]
    fn each_figure_counts_measured_messages_from_the_intended_time() {
        let latencies = Latencies::of(&outcome());
        let key = |measure| Key { measure, origin: None, recipient: None };
        let total = |recipient| Key { recipient: Some(recipient), ..key(Measure::Hop(Hop::Total)) };
        let broadcast = |origin| Key { origin: Some(origin), ..key(Measure::Hop(Hop::Broadcast)) };
        assert_one(&latencies, key(Measure::SendLag), 0.1);
        assert_one(&latencies, key(Measure::Ack), 1.0);
        assert_one(&latencies, key(Measure::ServiceAck), 0.9);
        assert_one(&latencies, key(Measure::Hop(Hop::Accept)), 0.01);
        assert_one(&latencies, key(Measure::Hop(Hop::Persist)), 0.5);
        assert_one(&latencies, broadcast(Origin::Own), 0.15);
        assert_one(&latencies, broadcast(Origin::Peer), 0.3);
        assert_one(&latencies, total(Recipient::First), 2.0);
        assert_one(&latencies, total(Recipient::Median), 3.0);
        assert_one(&latencies, total(Recipient::Last), 5.0);
        let all = latencies.get(key(Measure::Hop(Hop::Total))).unwrap();
        assert_eq!(all.count(), 3);
        assert!((all.summary().max_ms - 5.0).abs() < 0.01);
        assert_eq!(latencies.get(key(Measure::Hop(Hop::Receive))).unwrap().count(), 2);
    }
}
