//! What was measured of a drill.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{QUIET, Seen, Window};
use crate::{
    audit::{Answer, Ledger},
    latency::{Measure, Series},
    run::{Outcome, Visit},
};

/// A delivery that takes longer is late, and overdue until it comes.
const LATE_US: u32 = 100_000;
/// All is as before once nothing is overdue for so long.
const SETTLED_US: u32 = 500_000;
/// Answers that were on their way when the database went.
const GRACE_US: u32 = 250_000;

/// What was measured of a drill. Times are in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// Messages acknowledged in all.
    pub(crate) acknowledged: u64,
    /// Messages that were first sent while something was broken.
    pub(crate) sent_in_fault: u64,
    /// Messages that were due while something was broken. Where no server is left they are sent later.
    pub(crate) due_in_fault: u64,
    /// Messages that were due after everything had been mended.
    pub(crate) due_afterwards: u64,
    /// From the first fault until a server's metrics or a client showed it.
    pub(crate) detect_ms: Option<f64>,
    /// From the end of a fault until nothing was overdue: the longest. None where most deliveries are overdue at any time.
    pub(crate) heal_ms: Option<f64>,
    /// The 99th percentile of deliveries of what was due shortly before the fault.
    pub(crate) quiet_p99_ms: Option<f64>,
    /// The same of what was due in it.
    pub(crate) fault_p99_ms: Option<f64>,
    /// The 99th percentile of how late the generator was before the fault.
    pub(crate) send_lag_p99_ms: Option<f64>,
    /// Deliveries that took longer than 100 ms.
    pub(crate) late: u64,
    /// Publishes refused for the time being, by code.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// How long a refusal took while the database was gone: the median of those that were sent for the first time.
    pub(crate) refused_after_p50_ms: Option<f64>,
    /// Acknowledgements that came while the database was gone.
    pub(crate) acknowledged_while_gone: u64,
    /// Messages that were sent again, each time.
    pub(crate) sent_again: u64,
    /// Messages that were neither acknowledged nor refused for good in the end.
    pub(crate) unsettled: u64,
    /// Connections of clients that ended and were made again.
    pub(crate) reconnections: u64,
    /// How long it took the slowest of them to have everything that it had missed.
    pub(crate) recovery_max_ms: Option<f64>,
}

/// When something was broken.
#[derive(Clone, Copy)]
struct Faults<'a>(&'a [Window]);

impl Faults<'_> {
    fn begin_us(self) -> u32 {
        self.0.first().map_or(u32::MAX, |window| window.us.start)
    }

    fn end_us(self) -> u32 {
        self.0.iter().map(|window| window.us.end).max().unwrap_or_default()
    }

    /// Whether it is what the faults are compared with. What came earlier may have met something cold.
    fn are_soon_after(self, us: u32) -> bool {
        let quiet_us = u32::try_from(QUIET.as_micros()).unwrap_or(u32::MAX);
        (self.begin_us().saturating_sub(quiet_us)..self.begin_us()).contains(&us)
    }

    fn hold(self, us: u32) -> bool {
        self.0.iter().any(|window| window.us.contains(&us))
    }

    /// Whether what was broken was gone for certain.
    fn is_gone(self, us: u32) -> bool {
        let gone = |window: &Window| window.gone_us.start.saturating_add(GRACE_US)..window.gone_us.end;
        self.0.iter().any(|window| gone(window).contains(&us))
    }
}

impl Figures {
    /// `seen` is what showed the faults.
    pub(crate) fn of(outcome: &Outcome, windows: &[Window], seen: &[Seen]) -> Self {
        let faults = Faults(windows);
        let begin_us = faults.begin_us();
        let first_sign = seen.iter().filter_map(|seen| seen.first_us).min();
        let recovery = |visit: &Visit| match visit {
            Visit::Recovery { us, .. } => Some(*us),
            Visit::Join { .. } => None,
        };
        let before = || deliveries(outcome).filter(|(due_us, _)| faults.are_soon_after(*due_us)).map(took);
        let is_always_late = median(before()).is_some_and(|usual_ms| usual_ms > ms(LATE_US));
        Self {
            detect_ms: first_sign.map(|us| ms(us.saturating_sub(begin_us))),
            heal_ms: heal_us(outcome, windows).filter(|_| !is_always_late).map(ms),
            quiet_p99_ms: p99(before()),
            fault_p99_ms: p99(deliveries(outcome).filter(|(due_us, _)| faults.hold(*due_us)).map(took)),
            late: deliveries(outcome).map(took).filter(|us| *us > LATE_US).count() as u64,
            reconnections: outcome.trouble.losses.len() as u64,
            recovery_max_ms: outcome.visits.iter().filter_map(recovery).max().map(ms),
            ..Self::of_publishers(outcome, faults)
        }
    }

    fn of_publishers(outcome: &Outcome, faults: Faults<'_>) -> Self {
        let records = || outcome.evidence.records.iter().map(|(_, record)| record);
        let acknowledged = || records().filter(|record| record.is_acknowledged());
        let refusals = &outcome.trouble.refusals;
        let while_gone = refusals.iter().filter(|refusal| faults.is_gone(refusal.at_us));
        let quiet = records().filter(|it| it.was_sent() && faults.are_soon_after(it.intended_us));
        let mut refused = BTreeMap::new();
        for refusal in refusals {
            *refused.entry(refusal.code.as_str()).or_default() += 1;
        }
        Self {
            acknowledged: acknowledged().count() as u64,
            sent_in_fault: records().filter(|it| it.was_sent() && faults.hold(it.sent_us)).count() as u64,
            due_afterwards: records().filter(|it| it.was_sent() && it.intended_us > faults.end_us()).count()
                as u64,
            due_in_fault: records().filter(|it| it.was_sent() && faults.hold(it.intended_us)).count() as u64,
            send_lag_p99_ms: p99(quiet.map(|record| record.sent_us.saturating_sub(record.intended_us))),
            refused,
            refused_after_p50_ms: median(while_gone.filter_map(|refusal| refusal.after_us)),
            acknowledged_while_gone: acknowledged().filter(|it| faults.is_gone(it.answered_us)).count()
                as u64,
            sent_again: outcome.trouble.sent_again,
            unsettled: records().filter(|record| !is_settled(record.answer)).count() as u64,
            ..Self::default()
        }
    }
}

fn is_settled(answer: Answer) -> bool {
    match answer {
        Answer::Acknowledged { .. } => true,
        Answer::Refused(code) => !code.is_retryable(),
        Answer::NotSent | Answer::Missing => false,
    }
}

/// When each delivery was due, and when it came.
fn deliveries(outcome: &Outcome) -> impl Iterator<Item = (u32, u32)> {
    let received = outcome.evidence.ledgers.iter().flat_map(Ledger::iter);
    received.filter_map(|(_, received)| {
        let record = outcome.evidence.records.get(received.index)?;
        Some((record.intended_us, received.at_us))
    })
}

fn took((due_us, at_us): (u32, u32)) -> u32 {
    at_us.saturating_sub(due_us)
}

/// From the end of a fault until nothing is overdue, the longest of all faults.
fn heal_us(outcome: &Outcome, windows: &[Window]) -> Option<u32> {
    let late = deliveries(outcome).filter(|delivery| took(*delivery) > LATE_US);
    let mut overdue: Vec<(u32, u32)> = late.map(|(due_us, at_us)| (due_us + LATE_US, at_us)).collect();
    overdue.sort_unstable();
    let ends = windows.iter().map(|window| window.us.end);
    ends.map(|end_us| settled_us(&overdue, end_us) - end_us).max()
}

/// The first moment from `from_us` on from which nothing is overdue for a while. In the order in which they begin.
fn settled_us(overdue: &[(u32, u32)], from_us: u32) -> u32 {
    let mut settled_us = from_us;
    for (begin_us, end_us) in overdue {
        if *begin_us > settled_us.saturating_add(SETTLED_US) {
            break;
        }
        settled_us = settled_us.max(*end_us);
    }
    settled_us
}

fn p99(us: impl Iterator<Item = u32>) -> Option<f64> {
    percentile_ms(us, 99.0)
}

fn median(us: impl Iterator<Item = u32>) -> Option<f64> {
    percentile_ms(us, 50.0)
}

fn percentile_ms(us: impl Iterator<Item = u32>, percentile: f64) -> Option<f64> {
    let mut series = Series::new(Measure::Ack, None, None);
    us.for_each(|us| series.record(us));
    (series.count() > 0).then(|| series.percentile_ms(percentile))
}

fn ms(us: u32) -> f64 {
    f64::from(us) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_settled_once_nothing_was_overdue_for_a_while() {
        assert_eq!(settled_us(&[], 7), 7);
        let overdue =
            [(1, 5_000_000), (4_000_000, 6_000_000), (6_400_000, 6_500_000), (9_000_000, 9_900_000)];
        assert_eq!(settled_us(&overdue, 4_500_000), 6_500_000);
        assert_eq!(settled_us(&overdue, 7_000_000), 7_000_000);
    }
}
