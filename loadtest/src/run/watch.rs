//! Sees while a run goes on that it can't be passed any more.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{latency::Measure, plan::Plan};

/// A limit of a latency that can be followed as messages come.
#[derive(Debug)]
pub(crate) struct Limit {
    /// `total`, `ack` or `send_lag`.
    pub(crate) measure: Measure,
    /// Durations from this one on exceed it.
    pub(crate) limit_us: u32,
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

/// Why a run ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tripped {
    /// This requirement can't be met any more.
    Requirement(String),
    /// A subscriber missed a message, or got a wrong one.
    Finding,
}

impl Limit {
    pub(crate) fn new(measure: Measure, limit_us: u32, allowed: u64, requirement: String) -> Self {
        Self { measure, limit_us, allowed, requirement, exceeded: AtomicU64::new(0) }
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
        for limit in self.limits.iter().filter(|it| it.measure == measure && us >= it.limit_us) {
            limit.exceeded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The audit will find something.
    pub(super) fn found(&self) {
        self.findings.fetch_add(1, Ordering::Relaxed);
    }

    /// Why the run can't be passed any more, if so.
    pub(super) fn tripped(&self) -> Option<Tripped> {
        if self.findings.load(Ordering::Relaxed) > 0 {
            return Some(Tripped::Finding);
        }
        let exceeded = |limit: &&Limit| limit.exceeded.load(Ordering::Relaxed) > limit.allowed;
        self.limits.iter().find(exceeded).map(|limit| Tripped::Requirement(limit.requirement.clone()))
    }
}
