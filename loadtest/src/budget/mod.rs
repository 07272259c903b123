//! The budget: the architecture decision's claims, each with the figure that it is judged by.

mod claim;
mod comparison;

use std::{fs, path::Path};

use anyhow::{Context, anyhow, ensure};
use serde::Deserialize;

pub(crate) use claim::{AuditLimit, Claim, LatencyLimit, OptionLimit, OutageLimit};
pub(crate) use comparison::{Cell, Comparison, Shown};

/// The budget as it was when this program was built.
const EMBEDDED: &str = include_str!("../../../observability/budget.toml");
const VERSION: u32 = 1;
/// With fewer, two scrapes 5 s apart might not fit into an alert's shortest window.
const PERIOD_DAYS_MIN: u32 = 2;

/// All claims of the decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Budget {
    /// The decision's title.
    pub(crate) decision: String,
    /// Its claims, in the order of the file.
    pub(crate) claims: Vec<Claim>,
    /// Its table of comparison, row by row.
    pub(crate) comparison: Vec<Comparison>,
    /// How fast alerts look, in the order of the file.
    pub(crate) paces: Vec<Pace>,
}

/// The windows of a set of alerts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pace {
    /// Its name: the alerts' label.
    pub(crate) name: String,
    /// How long a claim's error budget is to last.
    pub(crate) period_days: u32,
}

impl Budget {
    /// The budget in a file; without one, that which this program was built with.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        match file {
            None => Self::parse(EMBEDDED).context("the budget that this program was built with"),
            Some(path) => {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("can't read the budget {}", path.display()))?;
                Self::parse(&text).with_context(|| format!("in the budget {}", path.display()))
            }
        }
    }

    /// Parses a budget. An error names the claim that it is about.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        ensure!(file.version == VERSION, "version is {}, not {VERSION}", file.version);
        let mut claims: Vec<Claim> = Vec::new();
        for (number, table) in (1..).zip(file.claim) {
            let id = table.get("id").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
            let name = if id.is_empty() { format!("number {number}") } else { format!("`{id}`") };
            let claim: Claim =
                table.try_into().map_err(|error| anyhow!("claim {name}: {}", error.message()))?;
            claim::check(&claim).with_context(|| format!("claim {name}"))?;
            ensure!(claims.iter().all(|other| other.id != id), "claim {name} stands there twice");
            claims.push(claim);
        }
        ensure!(!claims.is_empty(), "there is no [[claim]]");
        for pace in &file.pace {
            check_pace(pace).with_context(|| format!("pace `{}`", pace.name))?;
            let same = file.pace.iter().filter(|other| other.name == pace.name).count();
            ensure!(same == 1, "pace `{}` stands there twice", pace.name);
        }
        for row in &file.comparison {
            comparison::check(row, &claims).with_context(|| format!("comparison `{}`", row.aspect))?;
        }
        Ok(Self { decision: file.decision, claims, comparison: file.comparison, paces: file.pace })
    }

    /// The latency limits that are judged, each with its claim.
    pub(crate) fn latencies(&self) -> impl Iterator<Item = (&Claim, LatencyLimit)> {
        let judged = self.claims.iter().filter(|claim| claim.not_measured.is_none());
        judged.filter_map(|claim| Some((claim, claim.latency?)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    decision: String,
    #[serde(default)]
    claim: Vec<toml::Table>,
    #[serde(default)]
    comparison: Vec<Comparison>,
    #[serde(default)]
    pace: Vec<Pace>,
}

/// Names stand in queries, labels and the names of files.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_plain)
}

fn check_pace(pace: &Pace) -> anyhow::Result<()> {
    ensure!(is_name(&pace.name), "its name is not made of a–z, 0–9 and -");
    ensure!(
        pace.period_days >= PERIOD_DAYS_MIN,
        "its period_days is {}, less than {PERIOD_DAYS_MIN}",
        pace.period_days
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use hopline::hop::Hop;

    use super::*;

    fn budget(claim: &str) -> String {
        let result = Budget::parse(&format!("version = 1\ndecision = \"d\"\n[[claim]]\n{claim}"));
        result.map_or_else(|error| format!("{error:#}"), |_| "accepted".to_owned())
    }

    #[test]
    fn the_embedded_budget_is_valid_and_holds_the_headline_claims() {
        let budget = Budget::load(None).unwrap();
        let judged = |hop| {
            budget.claims.iter().any(|claim| {
                claim.not_measured.is_none() && claim.latency.is_some_and(|limit| limit.hop == hop)
            })
        };
        assert!(judged(Hop::Broadcast) && judged(Hop::Total));
        assert!(budget.claims.iter().any(|claim| claim.audit.is_some()));
    }

    #[test]
    fn mistakes_are_reported_with_the_claims_name() {
        let head = "id = \"x\"\nsentence = \"s\"\n";
        let latency = |rest: &str| {
            budget(&format!("{head}latency = {{ hop = \"broadcast\", limit_ms = 1.0, {rest} }}"))
        };
        assert_eq!(latency("percentile = 50.0"), "accepted");
        assert_eq!(latency("percentile = 100.0"), "claim `x`: its percentile is 100");
        assert_eq!(latency("percentile = 99.999999999"), "claim `x`: its percentile is 99.999999999");
        for limit_ms in ["inf", "1e-322", "0.0", "-1.0", "nan"] {
            let claim = format!("latency = {{ hop = \"total\", percentile = 50.0, limit_ms = {limit_ms} }}");
            let said = budget(&format!("{head}{claim}"));
            assert!(said.starts_with("claim `x`: its limit_ms is "), "{said}");
        }
        assert!(latency("percentile = 50.0, colour = 1").starts_with("claim `x`: unknown field"));
        assert_eq!(
            latency("percentile = 50.0, recipient = \"last\""),
            "claim `x`: only `send` and `total` have a recipient"
        );
        assert_eq!(budget(head), "claim `x`: it has neither `latency` nor `audit` nor `not_measured`");
        assert!(budget("sentence = \"s\"").starts_with("claim number 1: missing field `id`"));
    }

    #[test]
    fn a_comparison_shows_claims_that_there_are() {
        let head = "id = \"x\"\nsentence = \"s\"\nnot_measured = \"n\"\n";
        let row = |redis: &str| {
            let kafka = "kafka = { says = \"4 components\", shows = \"components\" }";
            budget(&format!("{head}[[comparison]]\naspect = \"Speed\"\nredis = {redis}\n{kafka}"))
        };
        assert_eq!(row("{ says = \"fast\", claim = \"x\" }"), "accepted");
        assert_eq!(row("{ says = \"fast\", claim = \"y\" }"), "comparison `Speed`: there is no claim `y`");
        for both in ["{ says = \"fast\" }", "{ says = \"fast\", claim = \"x\", shows = \"recovery\" }"] {
            assert_eq!(row(both), "comparison `Speed`: `fast` needs either `claim` or `shows`");
        }
    }

    #[test]
    fn mistakes_in_a_pace_are_reported_with_its_name() {
        let head = "id = \"x\"\nsentence = \"s\"\nnot_measured = \"n\"\n";
        let pace = |pace: &str| budget(&format!("{head}[[pace]]\n{pace}"));
        assert_eq!(pace("name = \"p\"\nperiod_days = 2"), "accepted");
        assert_eq!(pace("name = \"p\"\nperiod_days = 1"), "pace `p`: its period_days is 1, less than 2");
        assert_eq!(
            pace("name = \"P p\"\nperiod_days = 2"),
            "pace `P p`: its name is not made of a–z, 0–9 and -"
        );
        let twice = pace("name = \"p\"\nperiod_days = 2\n[[pace]]\nname = \"p\"\nperiod_days = 3");
        assert_eq!(twice, "pace `p` stands there twice");
    }
}
