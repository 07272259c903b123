//! Whether requirements are met.

use serde::Serialize;

use super::{
    Comparison, Figure, Requirement, Stat,
    figure::{Flow, Unit},
};
use crate::{
    audit::{Audit, Kind},
    clocks::ServerClock,
    latency::{Latencies, Reconciliation, samples_min},
    report::Measured,
    run::Tripped,
    verdict::Verdict,
};

/// A requirement, and what the run says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Required {
    /// As it was given.
    pub(crate) requirement: String,
    pub(crate) verdict: Verdict,
    /// Why there is no verdict, or what it stands on beside the figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) measured: Option<f64>,
    /// Of the figure; empty for counts.
    pub(crate) unit: &'static str,
    /// How much of the limit is left, in percent of it; negative if it isn't kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) headroom_percent: Option<f64>,
}

impl Required {
    /// Judges a requirement. An invalid run meets none, but what the audit found stands; and so does it if the run ended
    /// because this requirement couldn't be met any more.
    pub(crate) fn judge(
        requirement: &Requirement,
        measured: &Measured,
        latencies: &Latencies,
        tripped: Option<&Tripped>,
    ) -> Self {
        let Requirement { text, figure, comparison, value } = requirement;
        let open = |why: &str| Self {
            requirement: text.clone(),
            verdict: Verdict::NotMeasured,
            why: Some(why.to_owned()),
            measured: None,
            unit: figure.unit().as_str(),
            headroom_percent: None,
        };
        let found = match measure(*figure, measured, latencies) {
            Ok(found) => found,
            Err(why) => return open(&why),
        };
        let holds = comparison.holds(found.value, *value);
        let judged = Self {
            verdict: if holds { Verdict::Holds } else { Verdict::DoesNotHold },
            why: None,
            measured: Some(found.value),
            headroom_percent: headroom(*comparison, found.value, *value),
            ..open("")
        };
        if tripped == Some(&Tripped::Requirement(text.clone())) {
            let why = Some("the run ended when it couldn't be met any more".to_owned());
            return Self { verdict: Verdict::DoesNotHold, why, ..judged };
        }
        let audit_stands = figure.unit() == Unit::Count && !holds;
        let why = match found.says_nothing {
            _ if audit_stands => return judged,
            _ if !measured.invalid.is_empty() => "the run is invalid".to_owned(),
            Some(why) => why,
            None => return judged,
        };
        Self { verdict: Verdict::NotMeasured, why: Some(why), headroom_percent: None, ..judged }
    }
}

impl Required {
    /// Why the run proves nothing of it, if so.
    pub(crate) fn unjudged(&self) -> Option<String> {
        let why = self.why.as_deref().filter(|_| self.verdict == Verdict::NotMeasured)?;
        Some(format!(
            "'{}' has no verdict: {why}. Run longer, or require what the run measures",
            self.requirement
        ))
    }
}

struct Found {
    value: f64,
    /// Why it says nothing, although it is there.
    says_nothing: Option<String>,
}

fn measure(figure: Figure, measured: &Measured, latencies: &Latencies) -> Result<Found, String> {
    let nothing = || "this run measured no such thing".to_owned();
    let value = match figure {
        Figure::Latency(key, stat) => {
            let series = latencies.get(key).ok_or_else(nothing)?;
            let (value, wanted) = match stat {
                Stat::Percentile(percentile) => (series.percentile_ms(percentile), samples_min(percentile)),
                Stat::Mean => (series.mean_ms(), 1),
                Stat::Max => (series.summary().max_ms, 1),
            };
            let count = series.count();
            let says_nothing = if key.compares_clocks() && measured.clocks.iter().any(ServerClock::is_apart) {
                Some("it compares clocks that don't agree".to_owned())
            } else {
                (count < wanted).then(|| format!("{count} samples don't tell it: it takes {wanted}"))
            };
            return Ok(Found { value, says_nothing });
        }
        Figure::Audit(kind) => findings(&measured.audit, kind) as f64,
        Figure::Indeterminate => measured.audit.indeterminate as f64,
        Figure::Rate(Flow::Delivered) => measured.throughput.delivered_per_s,
        Figure::Rate(_) => measured.throughput.acknowledged_per_s,
        Figure::Share(Flow::Acknowledged) => {
            percent(measured.audit.acknowledged, measured.audit.sent).ok_or_else(nothing)?
        }
        Figure::Share(Flow::Delivered) => {
            percent(measured.audit.delivered, measured.audit.owed).ok_or_else(nothing)?
        }
        Figure::Share(Flow::Traced) => {
            let traces = measured.traces.as_ref().and_then(|traces| traces.completeness.as_ref());
            traces.and_then(crate::traces::Completeness::percent).ok_or_else(nothing)?
        }
        Figure::Reconciliation(percentile) => {
            let Reconciliation { p50_percent, p90_percent, p99_percent, .. } =
                measured.reconciliation.ok_or_else(nothing)?;
            match percentile {
                50 => p50_percent,
                90 => p90_percent,
                _ => p99_percent,
            }
        }
    };
    Ok(Found { value, says_nothing: None })
}

fn findings(audit: &Audit, kind: Option<Kind>) -> u64 {
    match kind {
        Some(kind) => audit.count(kind),
        None => Kind::ALL.iter().map(|&kind| audit.count(kind)).sum(),
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}

fn headroom(comparison: Comparison, measured: f64, value: f64) -> Option<f64> {
    if value <= 0.0 {
        return None;
    }
    match comparison {
        Comparison::Below | Comparison::AtMost => Some((1.0 - measured / value) * 100.0),
        Comparison::Above | Comparison::AtLeast => Some((measured / value - 1.0) * 100.0),
        Comparison::Equal => None,
    }
}
