//! What telemetry costs: the same load with more and more of it, in rounds, so that drift hits all alike; and with
//! collectors that don't work, which must cost nothing that a client can notice.

mod measure;
mod setup;

use serde::Serialize;

use crate::{latency::Summary, stats::Median};

pub(crate) use measure::{Effort, measure};
pub(crate) use setup::Setup;

/// What one setup costs in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cost {
    /// Processor time of all servers for each message, in microseconds.
    pub(crate) servers_us_per_message: f64,
    /// Messages a second where publishers wait for acknowledgements only.
    pub(crate) saturated_per_s: f64,
    /// From the intended time until each recipient has it.
    pub(crate) total: Summary,
    /// Why it proves nothing.
    pub(crate) invalid: Vec<String>,
}

/// A setup over all rounds, beside the one that it is compared with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) setup: Setup,
    pub(crate) servers_us_per_message: Median,
    /// Processor time in relation to the same round without telemetry.
    pub(crate) to_off: Median,
    /// Processor time in relation to the same round with metrics only.
    pub(crate) to_metrics: Median,
    pub(crate) saturated_per_s: Median,
    pub(crate) total_p50_ms: Median,
    pub(crate) total_p99_ms: Median,
    /// The median of `total`'s p99 in relation to the same round with a collector that works.
    pub(crate) p99_to_all: Median,
    /// What the ratio to no telemetry may be at most; none if there is no limit.
    pub(crate) limit: Option<f64>,
}

impl Compared {
    /// Whether the cost is within its limit.
    pub(crate) fn holds(&self) -> bool {
        self.limit.is_none_or(|limit| self.to_off.value <= limit)
    }
}

/// Each setup over all rounds; none if there are too few. `rounds` holds the costs in the order of [`Setup::ALL`].
pub(crate) fn compare(rounds: &[Vec<Cost>]) -> Option<Vec<Compared>> {
    let place = |setup: Setup| setup as usize;
    let over_rounds = |figure: &dyn Fn(&[Cost]) -> f64| {
        Median::of(&rounds.iter().map(|round| figure(round)).collect::<Vec<_>>())
    };
    let compared = |setup: Setup| {
        let cpu = |round: &[Cost], of: Setup| round[place(of)].servers_us_per_message;
        let p99 = |round: &[Cost], of: Setup| round[place(of)].total.p99_ms;
        Some(Compared {
            setup,
            servers_us_per_message: over_rounds(&|round| cpu(round, setup))?,
            to_off: over_rounds(&|round| cpu(round, setup) / cpu(round, Setup::Off))?,
            to_metrics: over_rounds(&|round| cpu(round, setup) / cpu(round, Setup::Metrics))?,
            saturated_per_s: over_rounds(&|round| round[place(setup)].saturated_per_s)?,
            total_p50_ms: over_rounds(&|round| round[place(setup)].total.p50_ms)?,
            total_p99_ms: over_rounds(&|round| p99(round, setup))?,
            p99_to_all: over_rounds(&|round| p99(round, setup) / p99(round, Setup::All))?,
            limit: setup.limit(),
        })
    };
    Setup::ALL.into_iter().map(compared).collect()
}
