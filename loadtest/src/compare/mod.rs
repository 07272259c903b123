//! What changed between two builds, as far as their runs can tell.
//!
//! Messages of one run resemble their neighbours, and runs of one build differ from one another: so an error bar never
//! counts messages. It is made of what whole runs differ by, or, where there are too few, of parts of runs and of what runs
//! are known to differ by.

mod args;
mod effect;
mod figure;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::archive::Run;
pub use args::{AbArgs, CompareArgs, LimitArgs};
use effect::Effect;
pub(crate) use effect::Method;
pub(crate) use figure::Figure;

/// One may err with this chance in any of the figures together.
const ERROR: f64 = 0.05;

/// What counts as a change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Limits {
    /// As a share.
    pub(crate) min_effect: f64,
    /// For latencies, in milliseconds: both must be reached.
    pub(crate) min_effect_ms: f64,
    /// By how much runs of one build differ: the standard deviation of a 5th percentile, as a share.
    pub(crate) run_noise: f64,
}

/// What is said of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// The true change is smaller than the one that matters.
    None,
    /// It is smaller than it was, by enough.
    Better,
    /// It is larger than it was, by enough.
    Worse,
    /// These runs can't tell.
    Unclear,
}

/// One figure, compared.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compared {
    #[serde(flatten)]
    pub(crate) figure: Figure,
    pub(crate) baseline: f64,
    pub(crate) candidate: f64,
    /// What the candidate is in relation to the baseline, and where the true relation lies.
    pub(crate) ratio: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) change: Change,
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) method: Method,
    pub(crate) compared: Vec<Compared>,
    /// The hop that moved most, by time; none if none did.
    pub(crate) moved: Option<String>,
}

impl Change {
    /// How reports say it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "no change",
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Unclear => "unclear",
        }
    }
}

impl Comparison {
    /// Compares every figure that all runs have.
    pub(crate) fn of(baseline: &[Run], candidate: &[Run], limits: &Limits) -> Self {
        let figures = figure::common(baseline, candidate);
        let error = ERROR / figures.len().max(1) as f64;
        let method = Method::for_runs(baseline.len(), candidate.len());
        let compare = |figure: Figure| {
            let effect = Effect::of(&figure, baseline, candidate, method, limits, error)?;
            Some(Compared { change: effect.judge(&figure, limits), ..effect.compared(figure) })
        };
        let compared: Vec<Compared> = figures.into_iter().filter_map(compare).collect();
        let moved = moved(&compared);
        Self { method, compared, moved }
    }

    /// Whether anything became worse.
    pub(crate) fn is_regression(&self) -> bool {
        self.compared.iter().any(|one| one.change == Change::Worse)
    }

    /// What is said of everything together.
    pub(crate) fn change(&self) -> Change {
        let any = |change| self.compared.iter().any(|one| one.change == change);
        match (any(Change::Worse), any(Change::Better)) {
            (true, _) => Change::Worse,
            (false, true) => Change::Better,
            (false, false) => Change::None,
        }
    }
}

/// A hop whose tail alone moved comes last.
fn moved(compared: &[Compared]) -> Option<String> {
    let is_moved = |one: &&Compared| matches!(one.change, Change::Worse | Change::Better);
    let hops = compared.iter().filter(|one| one.figure.is_hop()).filter(is_moved);
    let by_ms = |one: &Compared| (one.candidate - one.baseline).abs();
    let most = hops.max_by(|one, other| {
        let key = |it: &Compared| (!it.figure.is_tail(), by_ms(it));
        key(one).partial_cmp(&key(other)).unwrap_or(std::cmp::Ordering::Equal)
    });
    most.map(|one| one.figure.series.clone())
}

/// Why a comparison of these runs proves nothing; empty if it does.
pub(crate) fn reasons(baseline: &[Run], candidate: &[Run]) -> Vec<String> {
    let all = || baseline.iter().chain(candidate);
    let mut reasons: Vec<String> =
        all().flat_map(|run| run.invalid.iter().map(|why| format!("{}: {why}", run.name))).collect();
    for run in all() {
        if run.workload != baseline[0].workload {
            reasons.push(format!("{} had another workload than {}", run.name, baseline[0].name));
        }
        if run.machine != baseline[0].machine {
            reasons.push(format!("{} ran on another machine than {}", run.name, baseline[0].name));
        }
    }
    reasons
}
