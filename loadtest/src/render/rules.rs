//! The rules of Prometheus that follow from the latency claims: shares over the limit, and alerts on them.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    File, HEADER,
    burn::{Alert, alerts, window},
    series::{Series, le},
};
use crate::budget::{Budget, Claim, LatencyLimit, Pace};

pub(super) const FOLDER: &str = "observability/prometheus/rules";

/// Between two evaluations, at most; with shorter windows, a quarter of the shortest.
const INTERVAL_S_MAX: u64 = 30;

/// A claim with all that its rules are made of.
pub(super) struct Judged<'a> {
    pub(super) claim: &'a Claim,
    pub(super) limit: LatencyLimit,
    pub(super) series: Series,
    pub(super) alerts: Vec<Alert>,
}

/// The claims that Prometheus can judge.
pub(super) fn judged<'a>(budget: &'a Budget, pace: &Pace) -> Vec<Judged<'a>> {
    let judged = budget.latencies().filter_map(|(claim, limit)| {
        let series = Series::of(&limit)?;
        Some(Judged { claim, limit, series, alerts: alerts(&limit, pace) })
    });
    judged.collect()
}

pub(super) fn file(budget: &Budget, pace: &Pace) -> File {
    let judged = judged(budget, pace);
    let mut text = format!(
        "# {HEADER}\n#\n\
         # Whether the latency claims hold over {} days. The share over a limit is exact: a bucket ends there.\n",
        pace.period_days
    );
    for (claim, _) in budget.latencies().filter(|(_, limit)| Series::of(limit).is_none()) {
        let _ = writeln!(text, "# `{}` has no rules: no metric counts its figures apart.", claim.id);
    }
    let shortest_s = judged.iter().flat_map(|claim| &claim.alerts).map(|alert| alert.short_s).min();
    let interval_s = shortest_s.map_or(INTERVAL_S_MAX, |shortest_s| (shortest_s / 4).min(INTERVAL_S_MAX));
    text += "\ngroups:\n";
    for claim in &judged {
        let _ = write!(
            text,
            "  - name: {}-{}\n    interval: {interval_s}s\n    rules:\n{}{}",
            claim.claim.id,
            pace.name,
            recordings(claim, pace),
            claim.alerts.iter().map(|alert| alert_rule(claim, alert, pace)).collect::<String>()
        );
    }
    File { path: format!("{FOLDER}/claims-{}.yaml", pace.name).into(), text }
}

/// In each window that an alert looks at: the share over the limit, and in the long ones how many figures
/// there are, since a verdict needs some.
fn recordings(claim: &Judged, pace: &Pace) -> String {
    let Series { name, labels } = &claim.series;
    let le = le(claim.limit.limit_s());
    let long_s: BTreeSet<u64> = claim.alerts.iter().map(|alert| alert.long_s).collect();
    let all_s: BTreeSet<u64> =
        claim.alerts.iter().map(|alert| alert.short_s).chain(long_s.iter().copied()).collect();
    let labelled = format!("        labels: {{ claim: {}, pace: {} }}\n", claim.claim.id, pace.name);
    let mut text = String::new();
    for window in all_s.into_iter().map(window) {
        let _ = write!(
            text,
            "      - record: claim:hopline_over_limit:ratio_rate{window}\n        expr: |-\n          \
               1 - sum(rate({name}_bucket{{{labels},{le}}}[{window}]))\n            \
               / sum(rate({name}_count{{{labels}}}[{window}]))\n{labelled}"
        );
    }
    for window in long_s.into_iter().map(window) {
        let _ = write!(
            text,
            "      - record: claim:hopline_figures:increase{window}\n        \
               expr: sum(increase({name}_count{{{labels}}}[{window}]))\n{labelled}"
        );
    }
    text
}

fn alert_rule(claim: &Judged, alert: &Alert, pace: &Pace) -> String {
    let (id, pace) = (&claim.claim.id, &pace.name);
    let (long, short) = (window(alert.long_s), window(alert.short_s));
    let of_claim = format!("{{claim=\"{id}\",pace=\"{pace}\"}}");
    let threshold = format!("{} * {}", alert.factor, alert.budget);
    format!(
        "      - alert: {}\n        expr: |-\n          \
           claim:hopline_over_limit:ratio_rate{long}{of_claim} > {threshold}\n            \
           and claim:hopline_over_limit:ratio_rate{short}{of_claim} > {threshold}\n            \
           and claim:hopline_figures:increase{long}{of_claim} >= {}\n        \
         labels: {{ claim: {id}, pace: {pace}, severity: {}, window: {long} }}\n        \
         annotations:\n          summary: {}\n          description: {}\n          \
           runbook: docs/TELEMETRY.md#alerts\n",
        alert.name,
        claim.limit.samples_min(),
        alert.severity,
        quoted(&summary(claim, alert)),
        quoted(&description(claim, alert))
    )
}

fn summary(claim: &Judged, alert: &Alert) -> String {
    let id = &claim.claim.id;
    if alert.is_broken() {
        format!("The claim {id} does not hold")
    } else if alert.factor > 1.0 {
        format!("The error budget of {id} is used up {} times too fast", alert.factor)
    } else {
        format!("The error budget of {id} is used up too fast")
    }
}

fn description(claim: &Judged, alert: &Alert) -> String {
    let LatencyLimit { hop, origin, recipient, percentile, limit_ms } = claim.limit;
    let origin = origin.map(|origin| format!(" with origin {}", origin.as_str()));
    let recipient = recipient.map(|recipient| format!(" to the {} recipient", recipient.as_str()));
    format!(
        "Over {long} and over {}, more than {} % of {}{}{} took longer than {limit_ms} ms (over {long}: \
         {{{{ $value | humanizePercentage }}}}); percentile {percentile} allows {} %. Look at the dashboard \
         Message path: since when, and on which server? Then click a dot above the limit: its trace shows the \
         hop in which the time went.",
        window(alert.short_s),
        percent(alert.share()),
        hop.as_str(),
        origin.unwrap_or_default(),
        recipient.unwrap_or_default(),
        percent(alert.budget),
        long = window(alert.long_s),
    )
}

/// A share in percent, without the digits that floating point adds.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

/// A text as a JSON string, which YAML reads alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_prometheus_cant_judge_is_named_and_one_that_is_not_measured_is_not() {
        let claim = |id: &str, rest: &str| {
            let latency = format!("latency = {{ hop = \"total\", percentile = 99.0, limit_ms = 1.0 {rest}");
            format!("[[claim]]\nid = \"{id}\"\nsentence = \"s\"\n{latency}\n")
        };
        let claims = [
            claim("plain", "}"),
            claim("last", ", recipient = \"last\" }"),
            claim("later", "}\nnot_measured = \"n\""),
        ];
        let text = format!("version = 1\ndecision = \"d\"\n{}", claims.concat());
        let budget = Budget::parse(&text).unwrap();
        let text = file(&budget, &Pace { name: "p".into(), period_days: 30 }).text;
        assert!(text.contains("# `last` has no rules") && text.contains("claim: plain,"), "{text}");
        assert!(!text.contains("claim: last") && !text.contains("later"), "{text}");
    }
}
