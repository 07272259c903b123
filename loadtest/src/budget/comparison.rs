//! The decision's table of comparison: what it says of the chosen option and of the rejected one.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::Claim;

/// A row of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comparison {
    /// What is compared.
    pub(crate) aspect: String,
    /// What it says of the option that it chose, PostgreSQL and Redis.
    pub(crate) redis: Cell,
    /// What it says of the option that it rejected, PostgreSQL, outbox and Kafka.
    pub(crate) kafka: Cell,
}

/// What it says of an option, and what is shown beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cell {
    /// The decision's own words.
    pub(crate) says: String,
    /// The claim whose figure and verdict are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claim: Option<String>,
    /// What is shown where no limit judges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shows: Option<Shown>,
}

/// What is shown where no limit judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shown {
    /// What has to run.
    Components,
    /// How long after the outage all had caught up.
    Recovery,
}

/// Whether it shows what there is.
pub(super) fn check(row: &Comparison, claims: &[Claim]) -> anyhow::Result<()> {
    for cell in [&row.redis, &row.kafka] {
        ensure!(
            cell.claim.is_some() != cell.shows.is_some(),
            "`{}` needs either `claim` or `shows`",
            cell.says
        );
        if let Some(id) = &cell.claim {
            ensure!(claims.iter().any(|claim| claim.id == *id), "there is no claim `{id}`");
        }
    }
    Ok(())
}
