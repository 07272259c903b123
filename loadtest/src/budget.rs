//! The budget: the architecture decision's claims, each with the figure that it is judged by.

use std::{fs, path::Path};

use anyhow::{Context, anyhow, bail, ensure};
use hopline::hop::{Hop, Origin, Recipient};
use serde::{Deserialize, Serialize};

use crate::{
    audit::Kind,
    lab::Broker,
    latency::{Key, Measure, samples_min},
};

/// The budget as it was when this program was built.
const EMBEDDED: &str = include_str!("../../observability/budget.toml");
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

/// One claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    /// Its name, for machines.
    pub(crate) id: String,
    /// The decision's own words.
    pub(crate) sentence: String,
    /// Judged by a percentile of a latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<LatencyLimit>,
    /// Judged by the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audit: Option<AuditLimit>,
    /// Judged by one of the options, where all are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) option: Option<OptionLimit>,
    /// Judged by what an option's outage does, where all are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outage: Option<OutageLimit>,
    /// Why it isn't judged, where the decision alone is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_measured: Option<String>,
}

/// A percentile of a hop's duration, and what it may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LatencyLimit {
    /// The hop.
    pub(crate) hop: Hop,
    /// Where the recipient's server had the message from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// Which of a message's recipients; without it, every delivery counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recipient: Option<Recipient>,
    /// The percentile that is judged: above 0, below 100.
    pub(crate) percentile: f64,
    /// It must be below this, in milliseconds.
    pub(crate) limit_ms: f64,
}

/// What the audit may find at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditLimit {
    /// Which findings count.
    pub(crate) findings: Vec<Kind>,
    /// How many there may be, together.
    pub(crate) max: u64,
}

/// A percentile of a hop's duration over one of the options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionLimit {
    /// The option.
    pub(crate) broker: Broker,
    /// The hop; of `broadcast`, what is measured on one clock.
    pub(crate) hop: Hop,
    /// The percentile that is judged: above 0, below 100.
    pub(crate) percentile: f64,
    /// It must not be below this, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from_ms: Option<f64>,
    /// It must be below this, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to_ms: Option<f64>,
}

/// What the audit may find at most of an outage of whatever carries an option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutageLimit {
    /// The option.
    pub(crate) broker: Broker,
    /// Which findings count.
    pub(crate) findings: Vec<Kind>,
    /// How many there may be, together.
    pub(crate) max: u64,
}

impl LatencyLimit {
    /// The series of figures that is judged.
    pub(crate) fn key(&self) -> Key {
        Key { measure: Measure::Hop(self.hop), origin: self.origin, recipient: self.recipient }
    }

    /// How many figures a judgement needs: ten beyond the percentile.
    pub(crate) fn samples_min(&self) -> u64 {
        samples_min(self.percentile)
    }

    /// The limit in seconds, exact to the digit: 0.3 / 1000 is not 0.0003.
    pub(crate) fn limit_s(&self) -> f64 {
        format!("{}e-3", self.limit_ms).parse().expect("a number with an exponent is a number")
    }

    /// Which share of the figures may lie beyond the limit.
    pub(crate) fn error_budget(&self) -> f64 {
        // Rounded, since 100 - 99.9 is not 0.1.
        ((100.0 - self.percentile) * 1e7).round() / 1e9
    }
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
            check(&claim).with_context(|| format!("claim {name}"))?;
            ensure!(claims.iter().all(|other| other.id != id), "claim {name} stands there twice");
            claims.push(claim);
        }
        ensure!(!claims.is_empty(), "there is no [[claim]]");
        for pace in &file.pace {
            check_pace(pace).with_context(|| format!("pace `{}`", pace.name))?;
            let same = file.pace.iter().filter(|other| other.name == pace.name).count();
            ensure!(same == 1, "pace `{}` stands there twice", pace.name);
        }
        Ok(Self { decision: file.decision, claims, paces: file.pace })
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

fn check(claim: &Claim) -> anyhow::Result<()> {
    ensure!(is_name(&claim.id), "its id is not made of a–z, 0–9 and -");
    ensure!(!claim.sentence.trim().is_empty(), "its sentence is empty");
    match (&claim.latency, &claim.audit, &claim.not_measured) {
        (Some(_), Some(_), _) => bail!("it has both `latency` and `audit`"),
        (None, None, None) => bail!("it has neither `latency` nor `audit` nor `not_measured`"),
        _ => {}
    }
    ensure!(
        claim.not_measured.is_some() || (claim.option.is_none() && claim.outage.is_none()),
        "`option` and `outage` need a `not_measured`, for where they aren't"
    );
    if let Some(limit) = &claim.option {
        ensure!(limit.percentile > 0.0 && limit.percentile < 100.0, "its percentile is {}", limit.percentile);
        ensure!(limit.from_ms.or(limit.to_ms).is_some(), "its option has neither from_ms nor to_ms");
    }
    if let Some(limit) = &claim.outage {
        ensure!(!limit.findings.is_empty(), "its outage lists no findings");
    }
    if let Some(limit) = &claim.latency {
        let share = limit.error_budget();
        ensure!(share > 0.0 && share < 1.0, "its percentile is {}", limit.percentile);
        ensure!(limit.limit_ms.is_finite() && limit.limit_s() > 0.0, "its limit_ms is {}", limit.limit_ms);
        ensure!(limit.origin.is_none() || limit.hop == Hop::Broadcast, "only `broadcast` has an origin");
        ensure!(
            limit.recipient.is_none() || matches!(limit.hop, Hop::Send | Hop::Total),
            "only `send` and `total` have a recipient"
        );
    }
    if let Some(limit) = &claim.audit {
        ensure!(!limit.findings.is_empty(), "its audit lists no findings");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn limits_and_error_budgets_are_exact() {
        let limit = |percentile, limit_ms| LatencyLimit {
            hop: Hop::Total,
            origin: None,
            recipient: None,
            percentile,
            limit_ms,
        };
        assert_eq!(limit(50.0, 0.3).limit_s().to_string(), "0.0003");
        assert_eq!(limit(99.9, 500.0).limit_s().to_string(), "0.5");
        assert_eq!(limit(99.9, 1.0).error_budget().to_string(), "0.001");
        assert_eq!(limit(50.0, 1.0).error_budget().to_string(), "0.5");
    }

    #[test]
    fn a_judgement_needs_ten_samples_beyond_its_percentile() {
        let limit = |percentile| LatencyLimit {
            hop: Hop::Total,
            origin: None,
            recipient: None,
            percentile,
            limit_ms: 1.0,
        };
        assert_eq!(limit(50.0).samples_min(), 20);
        assert_eq!(limit(99.0).samples_min(), 1_000);
    }
}
