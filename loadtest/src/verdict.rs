//! Which claims hold.

use serde::Serialize;

use crate::{
    audit::Audit,
    budget::{AuditLimit, Budget, Claim, LatencyLimit},
    latency::{Latencies, Summary},
};

/// Whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// What was measured is within the limit.
    Holds,
    /// It isn't.
    DoesNotHold,
    /// It wasn't measured, or too little, or the run is invalid.
    NotMeasured,
}

impl Verdict {
    /// How reports say it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "doesn't hold",
            Self::NotMeasured => "not measured",
        }
    }
}

/// A claim, and what the run says of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Judged {
    /// The claim as the budget has it.
    #[serde(flatten)]
    pub(crate) claim: Claim,
    /// Whether it holds.
    pub(crate) verdict: Verdict,
    /// Why it isn't measured, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// The figure that was judged: milliseconds, or findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) measured: Option<f64>,
    /// How much of the limit is left, in percent of it; negative if it is exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) headroom_percent: Option<f64>,
    /// The whole distribution, for a latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) distribution: Option<Summary>,
}

impl Judged {
    /// Not yet judged.
    pub(crate) fn open(claim: &Claim) -> Self {
        Self {
            claim: claim.clone(),
            verdict: Verdict::NotMeasured,
            why: claim.not_measured.clone(),
            measured: None,
            headroom_percent: None,
            distribution: None,
        }
    }

    /// Without a verdict, and why.
    pub(crate) fn because(self, why: String) -> Self {
        Self { verdict: Verdict::NotMeasured, why: Some(why), ..self }
    }
}

/// Judges every claim of the budget. An invalid run proves nothing, but an audit's findings stand.
pub(crate) fn judge(budget: &Budget, latencies: &Latencies, audit: &Audit, is_valid: bool) -> Vec<Judged> {
    budget.claims.iter().map(|claim| judge_one(claim, latencies, audit, is_valid)).collect()
}

/// Judges one claim.
pub(crate) fn judge_one(claim: &Claim, latencies: &Latencies, audit: &Audit, is_valid: bool) -> Judged {
    let open = Judged::open(claim);
    match (&claim.not_measured, &claim.latency, &claim.audit) {
        (None, Some(limit), _) => judge_latency(limit, latencies, is_valid, &open),
        (None, None, Some(limit)) => judge_audit(limit, audit, is_valid, &open),
        _ => open,
    }
}

fn judge_latency(limit: &LatencyLimit, latencies: &Latencies, is_valid: bool, open: &Judged) -> Judged {
    let not_measured = |why: String| Judged { why: Some(why), ..open.clone() };
    let Some(series) = latencies.get(limit.key()) else {
        return not_measured("this run measured no such thing".to_owned());
    };
    let measured = series.percentile_ms(limit.percentile);
    let judged = Judged {
        measured: Some(measured),
        headroom_percent: Some((1.0 - measured / limit.limit_ms) * 100.0),
        distribution: Some(series.summary()),
        verdict: if measured < limit.limit_ms { Verdict::Holds } else { Verdict::DoesNotHold },
        ..open.clone()
    };
    if !is_valid {
        let why = Some("the run is invalid".to_owned());
        return Judged { verdict: Verdict::NotMeasured, why, headroom_percent: None, ..judged };
    }
    if series.count() < limit.samples_min() {
        return not_measured(format!(
            "{} samples don't tell p{}: it takes {}",
            series.count(),
            limit.percentile,
            limit.samples_min()
        ));
    }
    judged
}

/// Judges what the audit found.
pub(crate) fn judge_audit(limit: &AuditLimit, audit: &Audit, is_valid: bool, open: &Judged) -> Judged {
    let found: u64 = limit.findings.iter().map(|&kind| audit.count(kind)).sum();
    let verdict = match (found <= limit.max, is_valid) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::NotMeasured,
        (false, _) => Verdict::DoesNotHold,
    };
    Judged {
        verdict,
        why: (verdict == Verdict::NotMeasured).then(|| "the run is invalid".to_owned()),
        measured: Some(found as f64),
        ..open.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(claim: &str, ms: u32, samples: usize, is_valid: bool, lost: u64) -> Judged {
        let text = format!("version = 1\ndecision = \"d\"\n[[claim]]\nid = \"x\"\nsentence = \"s\"\n{claim}");
        let budget = Budget::parse(&text).unwrap();
        let key = LatencyLimit {
            hop: hopline::hop::Hop::Total,
            origin: None,
            recipient: None,
            percentile: 99.0,
            limit_ms: 1.0,
        }
        .key();
        let audit = Audit { findings: [("lost", lost)].into(), ..Audit::default() };
        let latencies = Latencies::constant(key, ms, samples);
        judge(&budget, &latencies, &audit, is_valid).remove(0)
    }

    const TOTAL: &str = "latency = { hop = \"total\", percentile = 99.0, limit_ms = 500.0 }";
    const BROADCAST: &str = "latency = { hop = \"broadcast\", percentile = 99.0, limit_ms = 1.0 }";
    const LOST: &str = "audit = { findings = [\"lost\"], max = 0 }";

    #[test]
    fn a_latency_holds_below_its_limit_only() {
        let holds = judged(TOTAL, 100, 1_000, true, 0);
        assert_eq!(holds.verdict, Verdict::Holds);
        assert!((holds.headroom_percent.unwrap() - 80.0).abs() < 0.1);
        let exceeded = judged(TOTAL, 750, 1_000, true, 0);
        assert_eq!(exceeded.verdict, Verdict::DoesNotHold);
        assert!((exceeded.headroom_percent.unwrap() + 50.0).abs() < 0.2);
    }

    #[test]
    fn what_was_measured_too_little_or_not_at_all_has_no_verdict() {
        let few = judged(TOTAL, 100, 999, true, 0);
        assert_eq!(few.verdict, Verdict::NotMeasured);
        assert_eq!(few.why.unwrap(), "999 samples don't tell p99: it takes 1000");
        assert_eq!(judged(BROADCAST, 100, 1_000, true, 0).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn an_invalid_run_proves_no_claim_but_what_was_lost_is_lost() {
        assert_eq!(judged(TOTAL, 100, 1_000, false, 0).verdict, Verdict::NotMeasured);
        assert_eq!(judged(TOTAL, 750, 1_000, false, 0).verdict, Verdict::NotMeasured);
        assert_eq!(judged(LOST, 100, 1_000, false, 0).verdict, Verdict::NotMeasured);
        assert_eq!(judged(LOST, 100, 1_000, false, 1).verdict, Verdict::DoesNotHold);
        assert_eq!(judged(LOST, 100, 1_000, true, 0).verdict, Verdict::Holds);
    }

    #[test]
    fn a_claim_that_cannot_be_measured_says_why() {
        let judged = judged("not_measured = \"no Kafka\"", 100, 1_000, true, 0);
        assert_eq!((judged.verdict, judged.why.as_deref()), (Verdict::NotMeasured, Some("no Kafka")));
    }
}
