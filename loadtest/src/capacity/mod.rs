//! The highest rate that keeps the budget.

mod args;
mod resources;
mod search;
mod stage;

use hopline::hop::Hop;
use serde::Serialize;

use crate::{
    budget::{Budget, LatencyLimit},
    exit::Misuse,
};
pub use args::CapacityArgs;
pub(crate) use search::{Search, Step};
pub(crate) use stage::{Bench, Stage};

/// What must hold at a rate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Limit {
    /// The claim's name, or what was asked for.
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) latency: LatencyLimit,
}

/// What the command line asks for. An error says which claim there isn't.
pub(crate) fn limits(args: &CapacityArgs) -> anyhow::Result<Vec<Limit>> {
    if let Some(limit_ms) = args.p99_ms {
        let latency =
            LatencyLimit { hop: Hop::Total, origin: None, recipient: None, percentile: 99.0, limit_ms };
        return Ok(vec![Limit { name: "total, p99".to_owned(), latency }]);
    }
    let budget = Budget::load(args.budget.as_deref())?;
    let limits: Vec<Limit> = budget
        .latencies()
        .filter(|(claim, _)| args.claim.is_empty() || args.claim.contains(&claim.id))
        .map(|(claim, latency)| Limit { name: claim.id.clone(), latency })
        .collect();
    if let Some(wrong) = args.claim.iter().find(|id| limits.iter().all(|limit| limit.name != **id)) {
        return Err(Misuse(format!("the budget has no latency claim `{wrong}` that is judged")).into());
    }
    Ok(limits)
}
