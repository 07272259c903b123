//! Far more load than the servers can take: what became of it, and when all was well again.

mod args;
mod phases;

use std::collections::BTreeMap;

use hopline::hop::Hop;
use serde::Serialize;

use crate::{
    audit::{Answer, Evidence},
    latency::{Key, Latencies, Measure, Series, Summary, samples_min},
    run::Outcome,
};
pub use args::OverloadArgs;
pub(crate) use phases::{Phase, Phases};

/// Of the capacity that the fault leaves, servers must use so much, and can't use more than so much.
const USED_MIN: f64 = 0.8;
const USED_MAX: f64 = 1.2;
/// A second is as before if its p99 is not above the worst second's before, or above so many times the whole's.
const NORMAL_FACTOR: f64 = 2.0;
const SECOND_US: u32 = 1_000_000;
const TOTAL: Key = Key { measure: Measure::Hop(Hop::Total), origin: None, recipient: None };

/// A phase: what was offered and answered in it, and how long it took what was due in it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Fate {
    pub(crate) seconds: f64,
    pub(crate) offered_per_s: f64,
    pub(crate) accepted_per_s: f64,
    /// By error code.
    pub(crate) refused_per_s: BTreeMap<&'static str, f64>,
    /// Of those that were accepted.
    pub(crate) total: Summary,
}

/// The way back.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Recovery {
    /// A p99 of `total` up to this is normal, in milliseconds.
    pub(crate) normal_ms: f64,
    /// Seconds from the end of the overload to the first of two normal seconds; none if there were none.
    pub(crate) after_s: Option<u32>,
}

/// What must hold.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Limits {
    pub(crate) p99_ms: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) normal_within_s: u32,
    /// What the fault leaves.
    pub(crate) capacity_per_s: f64,
}

impl Fate {
    pub(crate) fn of(phase: &Phase, outcome: &Outcome) -> Self {
        let seconds = f64::from(phase.us.end - phase.us.start) / f64::from(SECOND_US);
        let latencies = Latencies::within(outcome, &phase.us);
        let mut fate = Self { seconds, total: p99_of(&latencies), ..Self::default() };
        fate.count(&outcome.evidence, phase);
        fate
    }

    fn count(&mut self, evidence: &Evidence, phase: &Phase) {
        let one = 1.0 / self.seconds;
        for (_, record) in evidence.records.iter().filter(|(_, record)| record.was_sent()) {
            if phase.us.contains(&record.intended_us) {
                self.offered_per_s += one;
            }
            if !phase.us.contains(&record.answered_us) {
                continue;
            }
            match record.answer {
                Answer::Acknowledged { .. } => self.accepted_per_s += one,
                Answer::Refused(code) => *self.refused_per_s.entry(code.as_str()).or_default() += one,
                Answer::NotSent | Answer::Missing => {}
            }
        }
    }
}

impl Recovery {
    pub(crate) fn of(phases: &Phases, outcome: &Outcome) -> Self {
        let p99s_ms = |phase: &Phase| -> Vec<f64> {
            phase.seconds().map(|us| p99_of(&Latencies::within(outcome, &us)).p99_ms).collect()
        };
        Self::from_seconds(
            p99_of(&Latencies::within(outcome, &phases.before.us)).p99_ms,
            &p99s_ms(&phases.before),
            &p99s_ms(&phases.after),
        )
    }

    fn from_seconds(before_ms: f64, before_by_s_ms: &[f64], after_by_s_ms: &[f64]) -> Self {
        let normal_ms = before_by_s_ms.iter().copied().fold(before_ms * NORMAL_FACTOR, f64::max);
        let both_normal = |pair: &[f64]| pair.iter().all(|p99_ms| *p99_ms <= normal_ms);
        let after = after_by_s_ms.windows(2).position(both_normal);
        Self { normal_ms, after_s: after.and_then(|second| u32::try_from(second).ok()) }
    }
}

fn p99_of(latencies: &Latencies) -> Summary {
    latencies.get(TOTAL).map(Series::summary).unwrap_or_default()
}

impl Limits {
    /// Which limits were exceeded; empty if none was. `memory_bytes` is the most that a server had.
    pub(crate) fn exceeded(&self, during: &Fate, memory_bytes: u64, recovery: &Recovery) -> Vec<String> {
        let mut exceeded = Vec::new();
        if during.total.p99_ms >= self.p99_ms {
            let p99_ms = during.total.p99_ms;
            exceeded.push(format!("p99 of total of what was accepted: {p99_ms:.0} ms"));
        }
        if memory_bytes >= self.memory_bytes {
            exceeded.push(format!("a server's memory: {} MiB", memory_bytes >> 20));
        }
        if recovery.after_s.is_none_or(|seconds| seconds > self.normal_within_s) {
            let when =
                recovery.after_s.map_or("not at all".to_owned(), |seconds| format!("after {seconds} s"));
            exceeded.push(format!("normal again: {when}"));
        }
        if during.accepted_per_s < self.capacity_per_s * USED_MIN {
            exceeded.push(format!("accepted: {:.0} messages/s, too few", during.accepted_per_s));
        }
        exceeded
    }

    /// Why the overload was none; empty if it was one.
    pub(crate) fn not_exercised(&self, during: &Fate) -> Vec<String> {
        let mut reasons = Vec::new();
        if during.refused_per_s.is_empty() {
            reasons.push("nothing was refused: the servers were not overloaded. Offer more".to_owned());
        }
        if during.accepted_per_s > self.capacity_per_s * USED_MAX {
            let accepted = during.accepted_per_s;
            reasons.push(format!("{accepted:.0} messages/s were accepted: the capacity wasn't cut"));
        }
        if during.total.count < samples_min(99.0) {
            reasons.push(format!("{} deliveries don't tell p99", during.total.count));
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { p99_ms: 1_000.0, memory_bytes: 300 << 20, normal_within_s: 5, capacity_per_s: 500.0 };

    fn during(p99_ms: f64, accepted_per_s: f64) -> Fate {
        let total = Summary { count: 10_000, p99_ms, ..Summary::default() };
        let refused_per_s = [("busy", 4_500.0)].into();
        Fate { accepted_per_s, refused_per_s, total, ..Fate::default() }
    }

    fn exceeded(p99_ms: f64, accepted_per_s: f64, memory_mib: u64, after_s: Option<u32>) -> usize {
        let recovery = Recovery { normal_ms: 10.0, after_s };
        LIMITS.exceeded(&during(p99_ms, accepted_per_s), memory_mib << 20, &recovery).len()
    }

    #[test]
    fn each_limit_can_be_exceeded() {
        assert_eq!(exceeded(999.0, 480.0, 299, Some(5)), 0);
        assert_eq!(exceeded(1_000.0, 480.0, 299, Some(5)), 1);
        assert_eq!(exceeded(999.0, 399.0, 299, Some(5)), 1);
        assert_eq!(exceeded(999.0, 480.0, 300, Some(5)), 1);
        assert_eq!(exceeded(999.0, 480.0, 299, Some(6)), 1);
        assert_eq!(exceeded(1_000.0, 0.0, 300, None), 4);
    }

    #[test]
    fn what_was_no_overload_proves_nothing() {
        assert_eq!(LIMITS.not_exercised(&during(1.0, 500.0)), [""; 0]);
        assert_eq!(LIMITS.not_exercised(&during(1.0, 700.0)).len(), 1);
        assert_eq!(LIMITS.not_exercised(&Fate::default()).len(), 2);
    }

    #[test]
    fn it_is_normal_again_with_two_normal_seconds_in_a_row() {
        let after = |seconds: &[f64]| Recovery::from_seconds(10.0, &[8.0, 25.0, 9.0], seconds).after_s;
        assert_eq!(after(&[20.0, 25.0, 900.0]), Some(0));
        assert_eq!(after(&[900.0, 20.0, 400.0, 25.0, 12.0]), Some(3));
        assert_eq!(after(&[900.0, 20.0, 400.0, 20.0]), None);
        assert!((Recovery::from_seconds(10.0, &[8.0], &[]).normal_ms - 20.0).abs() < 1e-9);
    }
}
