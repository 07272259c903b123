//! What was measured of an option.

use hopline::hop::{Hop, Origin};
use serde::Serialize;

use crate::{
    audit::Audit,
    cpu::CpuUse,
    drill::Figures,
    lab::Broker,
    latency::{Key, Latencies, Measure, Summary},
};

/// An option and its rounds so far.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) broker: Broker,
    pub(crate) latencies: Latencies,
    /// Of all rounds together.
    pub(crate) audit: Audit,
    /// The median of `total` in each round, in milliseconds.
    pub(crate) total_p50_ms: Vec<f64>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) outage: Option<Outage>,
    /// Why some of it proves nothing.
    pub(crate) invalid: Vec<String>,
}

/// A round of an option: a load on a lab of its own.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) latencies: Latencies,
    pub(crate) audit: Audit,
    pub(crate) cost: Cost,
    pub(crate) invalid: Vec<String>,
}

/// What a message costs, in microseconds of processor time, and the memory in use after the load, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cost {
    /// All servers together.
    pub(crate) servers_us: f64,
    pub(crate) postgres_us: f64,
    /// Whatever runs between the servers.
    pub(crate) broker_us: f64,
    pub(crate) servers_bytes: u64,
    pub(crate) broker_bytes: u64,
}

/// What happened while all that runs between the servers was gone; of a single server, while it was.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outage {
    #[serde(flatten)]
    pub(crate) figures: Figures,
    pub(crate) audit: Audit,
    /// Why it proves nothing.
    pub(crate) invalid: Vec<String>,
}

impl Cost {
    /// Of so many messages.
    pub(crate) fn of(cpu: &CpuUse, messages: f64, servers_bytes: u64, broker_bytes: u64) -> Self {
        let each = |seconds: Option<f64>| seconds.unwrap_or_default() * 1e6 / messages.max(1.0);
        Self {
            servers_us: each(cpu.servers_s),
            postgres_us: each(cpu.postgres_s),
            broker_us: each(cpu.broker_s),
            servers_bytes,
            broker_bytes,
        }
    }

    /// The median of each figure.
    pub(crate) fn median(costs: &[Self]) -> Self {
        let figure = |of: fn(&Self) -> f64| median(costs.iter().map(of));
        let bytes = |of: fn(&Self) -> u64| {
            let mut all: Vec<u64> = costs.iter().map(of).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        Self {
            servers_us: figure(|cost| cost.servers_us),
            postgres_us: figure(|cost| cost.postgres_us),
            broker_us: figure(|cost| cost.broker_us),
            servers_bytes: bytes(|cost| cost.servers_bytes),
            broker_bytes: bytes(|cost| cost.broker_bytes),
        }
    }
}

impl Trial {
    pub(crate) fn new(broker: Broker) -> Self {
        Self {
            broker,
            latencies: Latencies::default(),
            audit: Audit::default(),
            total_p50_ms: Vec::new(),
            costs: Vec::new(),
            outage: None,
            invalid: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, round: Round) {
        let total = round.latencies.get(key(Hop::Total)).map(|series| series.percentile_ms(50.0));
        self.total_p50_ms.extend(total);
        self.latencies.merge(round.latencies);
        self.audit.merge(&round.audit);
        self.costs.push(round.cost);
        self.invalid.extend(round.invalid);
    }

    /// Whether its figures prove anything.
    pub(crate) fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }

    /// A hop's figures; `broadcast` is the one that is measured on one clock.
    pub(crate) fn hop(&self, hop: Hop) -> Option<Summary> {
        self.latencies.get(key(hop)).map(crate::latency::Series::summary)
    }
}

/// Where a hop's figures are.
pub(super) fn key(hop: Hop) -> Key {
    let origin = (hop == Hop::Broadcast).then_some(Origin::Own);
    Key { measure: Measure::Hop(hop), origin, recipient: None }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
