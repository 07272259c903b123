//! Requirements: thresholds that a run must keep, given as flags.

mod args;
mod figure;
mod judge;
mod parse;

use std::sync::Arc;

use crate::{
    latency::{Key, Measure},
    plan::{Plan, Workload},
    run::{Limit, Watch},
};
pub use args::RequireArgs;
pub(crate) use figure::{Figure, Flow, Stat};
pub(crate) use judge::Required;

/// A figure, and what it must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Requirement {
    /// As it was given.
    pub(crate) text: String,
    pub(crate) figure: Figure,
    pub(crate) comparison: Comparison,
    /// In the figure's unit.
    pub(crate) value: f64,
}

/// How a figure is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

impl Comparison {
    fn holds(self, measured: f64, value: f64) -> bool {
        match self {
            Self::Below => measured < value,
            Self::AtMost => measured <= value,
            Self::Above => measured > value,
            Self::AtLeast => measured >= value,
            Self::Equal => (measured - value).abs() < f64::EPSILON,
        }
    }
}

/// The tightest limit, in milliseconds, of a figure that the generator's own lateness is part of.
pub(crate) fn tightest_ms(requirements: &[Requirement]) -> Option<f64> {
    let limits = requirements.iter().filter_map(|requirement| match requirement.figure {
        Figure::Latency(Key { measure: Measure::Ack | Measure::Hop(hopline::hop::Hop::Total), .. }, _) => {
            Some(requirement.value)
        }
        _ => None,
    });
    limits.min_by(f64::total_cmp)
}

/// What ends a run early: findings of the audit, and those requirements that can be followed while it goes on.
pub(crate) fn watch(
    requirements: &[Requirement],
    workload: &Workload,
    plan: &Arc<Plan>,
    window_us: std::ops::Range<u32>,
) -> Watch {
    let mut recipients = vec![0_u64; workload.layout.channels];
    (0..workload.layout.subscribers)
        .for_each(|subscriber| recipients[workload.layout.subscribers_channel(subscriber)] += 1);
    let measured = (0..plan.messages()).filter(|&index| window_us.contains(&plan.intended_us(index)));
    let (mut messages, mut deliveries) = (0, 0);
    for index in measured {
        messages += 1;
        deliveries += recipients[usize::from(plan.channel(index))];
    }
    let limits = requirements.iter().filter_map(|requirement| limit(requirement, messages, deliveries));
    Watch::new(limits.collect(), Arc::clone(plan), window_us)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturating")]
pub(crate) fn limit(requirement: &Requirement, messages: u64, deliveries: u64) -> Option<Limit> {
    let Figure::Latency(Key { measure, origin: None, recipient: None }, stat) = requirement.figure else {
        return None;
    };
    let count = match measure {
        Measure::Ack | Measure::SendLag => messages,
        Measure::Hop(hopline::hop::Hop::Total) => deliveries,
        _ => return None,
    };
    let beyond = match stat {
        Stat::Percentile(percentile) => (100.0 - percentile) / 100.0,
        Stat::Max => 0.0,
        Stat::Mean => return None,
    };
    let us = requirement.value * 1_000.0;
    let from_us = match requirement.comparison {
        Comparison::Below => us.ceil() as u32,
        Comparison::AtMost => (us.floor() as u32).saturating_add(1),
        _ => return None,
    };
    Some(Limit::new(measure, from_us, (count as f64 * beyond).floor() as u64, requirement.text.clone()))
}

#[cfg(test)]
mod tests;
