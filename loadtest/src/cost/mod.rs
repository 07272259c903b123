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
    /// `total`'s p50 in relation to the same round with a collector that works.
    pub(crate) p50_to_all: Median,
    /// `total`'s p99 in relation to the same round with a collector that works.
    pub(crate) p99_to_all: Median,
    /// What the ratio of processor time to no telemetry may be at most; none if there is no limit.
    pub(crate) limit: Option<f64>,
    /// What the ratio of p50 to a collector that works may be at most; none if there is no limit.
    pub(crate) p50_limit: Option<f64>,
}

impl Compared {
    /// Whether the cost is within its limits.
    pub(crate) fn holds(&self) -> bool {
        self.cpu_holds() && self.p50_holds()
    }

    /// Whether the median of the processor time is within its limit.
    pub(crate) fn cpu_holds(&self) -> bool {
        self.limit.is_none_or(|limit| self.to_off.value <= limit)
    }

    /// Whether clients notice nothing of the collector: not if the whole interval lies above the limit.
    pub(crate) fn p50_holds(&self) -> bool {
        self.p50_limit.is_none_or(|limit| self.p50_to_all.low <= limit)
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
        let p50 = |round: &[Cost], of: Setup| round[place(of)].total.p50_ms;
        let p99 = |round: &[Cost], of: Setup| round[place(of)].total.p99_ms;
        Some(Compared {
            setup,
            servers_us_per_message: over_rounds(&|round| cpu(round, setup))?,
            to_off: over_rounds(&|round| cpu(round, setup) / cpu(round, Setup::Off))?,
            to_metrics: over_rounds(&|round| cpu(round, setup) / cpu(round, Setup::Metrics))?,
            saturated_per_s: over_rounds(&|round| round[place(setup)].saturated_per_s)?,
            total_p50_ms: over_rounds(&|round| p50(round, setup))?,
            total_p99_ms: over_rounds(&|round| p99(round, setup))?,
            p50_to_all: over_rounds(&|round| p50(round, setup) / p50(round, Setup::All))?,
            p99_to_all: over_rounds(&|round| p99(round, setup) / p99(round, Setup::All))?,
            limit: setup.limit(),
            p50_limit: setup.p50_limit(),
        })
    };
    Setup::ALL.into_iter().map(compared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::PAIRS_MIN;

    /// Rounds in which one setup has these figures, and all others 100 µs and 10 ms.
    fn compared(setup: Setup, cpu_us: f64, p50_ms: impl Fn(usize) -> f64) -> Compared {
        let cost = |cpu_us, p50_ms| Cost {
            servers_us_per_message: cpu_us,
            saturated_per_s: 1_000.0,
            total: Summary { p50_ms, p99_ms: 20.0, ..Summary::default() },
            invalid: Vec::new(),
        };
        let round = |number| -> Vec<Cost> {
            let of = |it| if it == setup { cost(cpu_us, p50_ms(number)) } else { cost(100.0, 10.0) };
            Setup::ALL.into_iter().map(of).collect()
        };
        let rounds: Vec<_> = (0..PAIRS_MIN).map(round).collect();
        compare(&rounds).unwrap().into_iter().find(|compared| compared.setup == setup).unwrap()
    }

    #[test]
    fn processor_time_is_limited_where_it_was_claimed() {
        assert!(compared(Setup::OnePercent, 104.0, |_| 10.0).holds());
        assert!(!compared(Setup::OnePercent, 106.0, |_| 10.0).holds());
        assert!(compared(Setup::Metrics, 900.0, |_| 10.0).holds());
    }

    #[test]
    fn a_collector_that_does_not_work_must_not_make_messages_slower() {
        for setup in [Setup::Refused, Setup::Silent, Setup::Frozen] {
            assert!(!compared(setup, 100.0, |_| 10.6).holds());
            assert!(compared(setup, 100.0, |round| if round == 0 { 10.4 } else { 10.6 }).holds());
            assert!(compared(setup, 900.0, |_| 10.0).holds());
        }
        assert!(compared(Setup::OnePercent, 100.0, |_| 90.0).holds());
    }
}
