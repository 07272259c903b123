//! One client that doesn't read, among many that do: what the others notice, and what becomes of it.

mod args;
mod client;
mod sleeper;

use serde::Serialize;

use crate::stats::Median;
pub use args::SlowClientArgs;
pub(crate) use client::{Place, watch};
pub(crate) use sleeper::{Sleeper, Stay};

/// What one run showed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    /// The 99th percentile of the others' `total`.
    pub(crate) p99_ms: f64,
    /// What became of the slow client, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stay: Option<Stay>,
    /// Why it proves nothing.
    pub(crate) invalid: Vec<String>,
}

/// A run without and one with a slow client.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pair {
    pub(crate) without: Run,
    pub(crate) with: Run,
}

/// All pairs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) without_p99_ms: Median,
    pub(crate) with_p99_ms: Median,
    /// Of each pair, the second in relation to the first.
    pub(crate) ratio: Median,
}

/// What the pairs say of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Harm {
    /// The whole interval lies below the limit.
    Small,
    /// It lies above it.
    Large,
    /// The limit lies within it: these pairs can't tell.
    Unclear,
}

impl Pair {
    pub(crate) fn invalid(&self) -> impl Iterator<Item = &String> {
        self.without.invalid.iter().chain(&self.with.invalid)
    }
}

impl Compared {
    /// None if there are too few.
    pub(crate) fn of(pairs: &[Pair]) -> Option<Self> {
        let median =
            |figure: &dyn Fn(&Pair) -> f64| Median::of(&pairs.iter().map(figure).collect::<Vec<_>>());
        Some(Self {
            without_p99_ms: median(&|pair| pair.without.p99_ms)?,
            with_p99_ms: median(&|pair| pair.with.p99_ms)?,
            ratio: median(&|pair| pair.with.p99_ms / pair.without.p99_ms)?,
        })
    }

    /// Whether the ratio is below the limit.
    pub(crate) fn harm(&self, ratio_max: f64) -> Harm {
        if self.ratio.high < ratio_max {
            Harm::Small
        } else if self.ratio.low >= ratio_max {
            Harm::Large
        } else {
            Harm::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harm(ratios: &[f64]) -> Option<Harm> {
        let run = |p99_ms| Run { p99_ms, stay: None, invalid: Vec::new() };
        let pair = |ratio: &f64| Pair { without: run(10.0), with: run(10.0 * ratio) };
        Some(Compared::of(&ratios.iter().map(pair).collect::<Vec<_>>())?.harm(1.2))
    }

    #[test]
    fn the_whole_interval_must_be_below_the_limit() {
        assert_eq!(harm(&[0.9, 1.0, 1.0, 1.05, 1.1, 1.1, 1.19]), Some(Harm::Small));
        assert_eq!(harm(&[0.9, 1.0, 1.0, 1.05, 1.1, 1.1, 1.3]), Some(Harm::Unclear));
        assert_eq!(harm(&[1.2, 1.3, 1.4, 1.5, 1.5, 1.6, 2.0]), Some(Harm::Large));
        assert_eq!(harm(&[1.0; 6]), None);
    }
}
