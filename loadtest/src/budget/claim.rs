//! A claim of the decision, and what it is judged by.

use anyhow::{bail, ensure};
use hopline::hop::{Hop, Origin, Recipient};
use serde::{Deserialize, Serialize};

use super::is_name;
use crate::{
    audit::Kind,
    lab::Broker,
    latency::{Key, Measure, samples_min},
};

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

/// Whether it says one thing, and one that can be judged.
pub(super) fn check(claim: &Claim) -> anyhow::Result<()> {
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
