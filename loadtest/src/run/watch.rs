//! Sees while a run goes on that it can't be passed any more.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::Tally;
use crate::{latency::Measure, plan::Plan};

/// Longer than servers take to heal what a broker lost, and than an outage that they outlast unnoticed.
const PATIENCE: Duration = Duration::from_secs(8);

/// A limit of a latency that can be followed as messages come.
#[derive(Debug)]
pub(crate) struct Limit {
    /// `total`, `ack` or `send_lag`.
    pub(crate) measure: Measure,
    /// Durations from this one on exceed it.
    pub(crate) from_us: u32,
    /// So many may do so.
    pub(crate) allowed: u64,
    /// How the requirement is written.
    pub(crate) requirement: String,
    exceeded: AtomicU64,
}

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    limits: Vec<Limit>,
    findings: AtomicU64,
    plan: Arc<Plan>,
    window_us: Range<u32>,
}

/// Who waits, at which position, and since when.
#[derive(Debug, Default)]
pub(crate) struct Patience(HashMap<usize, (u64, Instant)>);

impl Patience {
    fn is_over(&mut self, waiting: impl Iterator<Item = (usize, u64)>, now: Instant) -> bool {
        let before = std::mem::take(&mut self.0);
        for (subscriber, position) in waiting {
            let since = before.get(&subscriber).filter(|(then, _)| *then == position);
            self.0.insert(subscriber, (position, since.map_or(now, |(_, since)| *since)));
        }
        self.0.values().any(|(_, since)| now.duration_since(*since) >= PATIENCE)
    }
}

/// Why a run ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tripped {
    /// This requirement can't be met any more.
    Requirement(String),
    /// A subscriber missed a message, or got a wrong one.
    Finding,
}

impl Limit {
    pub(crate) fn new(measure: Measure, from_us: u32, allowed: u64, requirement: String) -> Self {
        Self { measure, from_us, allowed, requirement, exceeded: AtomicU64::new(0) }
    }
}

impl Watch {
    pub(crate) fn new(limits: Vec<Limit>, plan: Arc<Plan>, window_us: Range<u32>) -> Self {
        Self { limits, findings: AtomicU64::new(0), plan, window_us }
    }

    /// Something of this message, which is a duration from its intended time, happened now.
    pub(super) fn happened(&self, measure: Measure, index: u32, at_us: u32) {
        if self.limits.is_empty() || index >= self.plan.messages() {
            return;
        }
        let intended_us = self.plan.intended_us(index);
        if !self.window_us.contains(&intended_us) {
            return;
        }
        let us = at_us.saturating_sub(intended_us);
        for limit in self.limits.iter().filter(|it| it.measure == measure && us >= it.from_us) {
            limit.exceeded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The audit will find something.
    pub(super) fn found(&self) {
        self.findings.fetch_add(1, Ordering::Relaxed);
    }

    /// Why the run can't be passed any more, if so. A subscriber that waits too long for an acknowledged message
    /// will not get it: servers deliver in order, so that a lost message shows as silence.
    pub(super) fn tripped(&self, tally: &Tally, patience: &mut Patience) -> Option<Tripped> {
        if self.findings.load(Ordering::Relaxed) > 0 || patience.is_over(tally.waiting(), Instant::now()) {
            return Some(Tripped::Finding);
        }
        let exceeded = |limit: &&Limit| limit.exceeded.load(Ordering::Relaxed) > limit.allowed;
        self.limits.iter().find(exceeded).map(|limit| Tripped::Requirement(limit.requirement.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_over_for_who_waits_at_one_position_only() {
        let mut patience = Patience::default();
        let start = Instant::now();
        let mut at = |seconds, waiting: &[(usize, u64)]| {
            patience.is_over(waiting.iter().copied(), start + Duration::from_secs(seconds))
        };
        assert!(!at(0, &[(1, 5), (2, 7)]));
        assert!(!at(7, &[(1, 6), (2, 7)]));
        assert!(!at(9, &[(1, 6)]));
        assert!(at(15, &[(1, 6)]));
    }

    #[test]
    fn a_requirement_trips_when_too_many_of_the_window_exceed_it() {
        let workload = crate::plan::Workload::default();
        let plan = Arc::new(Plan::new(&workload));
        let limit = Limit::new(Measure::Ack, 1_000, 1, "ack".to_owned());
        let watch = Watch::new(vec![limit], Arc::clone(&plan), 5_000_000..35_000_000);
        let tally = Tally::new(1, std::iter::empty());
        let late = |index: u32| {
            watch.happened(Measure::Ack, index, plan.intended_us(index) + 1_000);
            watch.tripped(&tally, &mut Patience::default())
        };
        assert_eq!(late(2_499), None, "it belongs to the warm-up");
        assert_eq!(late(2_500), None, "one may");
        assert_eq!(late(2_501), Some(Tripped::Requirement("ack".to_owned())));
    }
}
