//! How large a change is, and how sure.

use serde::Serialize;

use super::{Change, Compared, Figure, Limits};
use crate::{
    archive::Run,
    stats::{Mean, student},
};

/// Runs a side below which runs don't show what they differ by.
const RUNS_MIN: usize = 3;
/// Parts of a run, long enough not to resemble one another.
const PARTS: usize = 10;
/// So many degrees of freedom that it makes no difference.
const MANY: u32 = 10_000;
/// What the clients' clock tells apart, in milliseconds.
const RESOLUTION_MS: f64 = 0.001;

/// What an error bar is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// Runs in pairs: by how much their differences differ.
    Pairs,
    /// Runs that are not in pairs: by how much those of each side differ.
    Runs,
    /// Too few runs: by how much parts of them differ, and runs of one build by experience.
    Parts,
}

/// A change on the logarithmic scale, on which twice and half are equally far.
pub(super) struct Effect {
    baseline: f64,
    candidate: f64,
    log_ratio: f64,
    margin: f64,
}

impl Method {
    pub(super) fn for_runs(baseline: usize, candidate: usize) -> Self {
        match (baseline.min(candidate) >= RUNS_MIN, baseline == candidate) {
            (true, true) => Self::Pairs,
            (true, false) => Self::Runs,
            (false, _) => Self::Parts,
        }
    }

    /// How reports say it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pairs => "runs in pairs: Student's t of the logarithms of their ratios",
            Self::Runs => "runs of each side: Student's t of their logarithms",
            Self::Parts => {
                "too few runs to know by how much they differ: ten parts of each, and what runs of one build \
                 differ by as --run-noise says"
            }
        }
    }
}

impl Effect {
    pub(super) fn of(
        figure: &Figure,
        baseline: &[Run],
        candidate: &[Run],
        method: Method,
        limits: &Limits,
        error: f64,
    ) -> Option<Self> {
        let logs =
            |runs: &[Run]| runs.iter().map(|run| Some(log(figure.of(run)?))).collect::<Option<Vec<_>>>();
        let (was, is) = (logs(baseline)?, logs(candidate)?);
        let mean = |logs: &[f64]| logs.iter().sum::<f64>() / logs.len() as f64;
        let margin = match method {
            Method::Pairs => {
                let differences: Vec<f64> = was.iter().zip(&is).map(|(was, is)| is - was).collect();
                Mean::of(&differences)?.margin(error)
            }
            Method::Runs => together(Mean::of(&was)?, Mean::of(&is)?, error),
            Method::Parts => {
                let noise = limits.run_noise * figure.noise_factor();
                let between_runs = noise * (1.0 / was.len() as f64 + 1.0 / is.len() as f64).sqrt();
                let within = within(figure, baseline, candidate, error).unwrap_or_default();
                (student(MANY, error) * between_runs).hypot(within)
            }
        };
        let (was, is) = (mean(&was), mean(&is));
        Some(Self { baseline: was.exp(), candidate: is.exp(), log_ratio: is - was, margin })
    }

    pub(super) fn judge(&self, figure: &Figure, limits: &Limits) -> Change {
        let matters = |log_ratio: f64| {
            let share = log_ratio.abs().exp() - 1.0;
            let ms = self.baseline * (log_ratio.exp() - 1.0).abs();
            share >= limits.min_effect && (figure.percentile.is_none() || ms >= limits.min_effect_ms)
        };
        let (low, high) = (self.log_ratio - self.margin, self.log_ratio + self.margin);
        if matters(self.log_ratio) && low > 0.0 {
            Change::Worse
        } else if matters(self.log_ratio) && high < 0.0 {
            Change::Better
        } else if matters(low) || matters(high) {
            Change::Unclear
        } else {
            Change::None
        }
    }

    pub(super) fn compared(&self, figure: Figure) -> Compared {
        Compared {
            figure,
            baseline: self.baseline,
            candidate: self.candidate,
            ratio: self.log_ratio.exp(),
            low: (self.log_ratio - self.margin).exp(),
            high: (self.log_ratio + self.margin).exp(),
            change: Change::Unclear,
        }
    }
}

fn log(figure: f64) -> f64 {
    figure.max(RESOLUTION_MS).ln()
}

/// The margin of a difference; with the degrees of freedom of the smaller side, which errs to the safe side.
fn together(was: Mean, is: Mean, error: f64) -> f64 {
    student(was.freedom.min(is.freedom), error) * (was.variance + is.variance).sqrt()
}

/// The margin that parts of runs give: the method of batch means.
fn within(figure: &Figure, baseline: &[Run], candidate: &[Run], error: f64) -> Option<f64> {
    let mean = |runs: &[Run]| {
        let parts = runs.iter().map(|run| figure.of_parts(run, PARTS)).collect::<Option<Vec<_>>>()?;
        let logs: Vec<f64> = parts.into_iter().flatten().map(log).collect();
        Mean::of(&logs)
    };
    Some(together(mean(baseline)?, mean(candidate)?, error))
}
