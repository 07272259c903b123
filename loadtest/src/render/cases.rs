//! Tests of the rules, for `promtool test rules`: each alert fires when it should and not when it should not.
//!
//! They say in messages what the rules say in queries, so that a wrong query does not agree with itself.

use std::fmt::Write;

use hopline::hop::{Hop, Origin, Recipient};

use super::{
    File, HEADER, bounds,
    burn::{Alert, window},
    rules::{Judged, judged},
};
use crate::budget::{Budget, LatencyLimit, Pace};

pub(super) const FOLDER: &str = "observability/prometheus/tests";

/// Steps of the input in a short window, which has ten seconds a day of its period; a long one has twelve
/// times as many.
const STEPS: u64 = 5;
/// Figures that each of two servers counts in a step.
const FIGURES: u64 = 100_000;

/// What happens for some steps.
struct Phase {
    steps: u64,
    /// Share of the figures over the limit.
    over: f64,
    /// What the alert does at the end, and why.
    end: Option<(bool, &'static str)>,
}

/// A test file for each long window, since promtool evaluates all rules of a file at the shortest's interval.
pub(super) fn files(budget: &Budget, pace: &Pace) -> Vec<File> {
    let judged = judged(budget, pace);
    let mut long_s: Vec<u64> =
        judged.iter().flat_map(|claim| &claim.alerts).map(|alert| alert.long_s).collect();
    long_s.sort_unstable();
    long_s.dedup();
    let bounds = bounds::seconds(budget);
    let file = |long_s: u64| {
        let mut tests = String::new();
        let mut short_s = long_s;
        for claim in &judged {
            for alert in claim.alerts.iter().filter(|alert| alert.long_s == long_s) {
                short_s = short_s.min(alert.short_s);
                tests += &shares(claim, alert, pace, &bounds);
                tests += &few(claim, alert, pace);
            }
        }
        let text = format!(
            "# {HEADER}\n\nrule_files: [../rules/claims-{}.yaml]\nevaluation_interval: {}\n\ntests:\n{tests}",
            pace.name,
            window(short_s)
        );
        File { path: format!("{FOLDER}/claims-{}-{}.yaml", pace.name, window(long_s)).into(), text }
    };
    long_s.into_iter().map(file).collect()
}

/// A little less and a little more than the share that the alert speaks of, in both windows and in one only.
fn phases(alert: &Alert) -> Vec<Phase> {
    let share = alert.share();
    let little = 0.1 * share.min(1.0 - share);
    let much = (1.5 * share).min(1.0);
    vec![
        Phase { steps: 15 * STEPS, over: share - little, end: Some((false, "a little less")) },
        Phase { steps: 15 * STEPS, over: share + little, end: Some((true, "a little more")) },
        Phase { steps: 15 * STEPS, over: much, end: None },
        Phase {
            steps: 2 * STEPS,
            over: 0.0,
            end: Some((false, "it has ended, though the long window is over")),
        },
        Phase { steps: 15 * STEPS, over: 0.0, end: None },
        Phase { steps: STEPS, over: much, end: Some((false, "only the short window is over")) },
        Phase { steps: 15 * STEPS, over: much, end: Some((true, "both windows are over")) },
    ]
}

/// The shares of `phases`, seen by two servers; beside them, figures that the claim is not about.
fn shares(claim: &Judged, alert: &Alert, pace: &Pace, bounds: &[f64]) -> String {
    let phases = phases(alert);
    let values =
        |of_step: &dyn Fn(f64) -> u64| counter(phases.iter().map(|phase| (phase.steps, of_step(phase.over))));
    let all = values(&|_| FIGURES);
    let none = values(&|_| 0);
    let within = values(&within);
    let at =
        bounds.binary_search_by(|bound| bound.total_cmp(&claim.limit.limit_s())).expect("a limit is a bound");
    let mut text = head(claim, alert);
    for node in ["a", "b"] {
        let labels = format!("{},node=\"{node}\"", claim.series.labels);
        text += &series(claim, &labels, None, &all);
        // The next bounds would make all or nothing of it.
        for (bound, values) in [(at.checked_sub(1), &none), (Some(at), &within), (Some(at + 1), &all)] {
            if let Some(bound) = bound.and_then(|at| bounds.get(at)) {
                text += &series(claim, &labels, Some(*bound), values);
            }
        }
    }
    for labels in others(&claim.limit) {
        text += &series(claim, &labels, None, &all);
        text += &series(claim, &labels, Some(claim.limit.limit_s()), &none);
    }
    text += "    promql_expr_test:\n";
    let mut steps = 0;
    for phase in &phases {
        steps += phase.steps;
        if let Some((fires, why)) = phase.end {
            text += &expectation(claim, alert, pace, steps, fires, why);
        }
    }
    text
}

/// How many of a step's figures are within the limit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
fn within(over: f64) -> u64 {
    (FIGURES as f64 * (1.0 - over)).round() as u64
}

/// Nothing but slow figures, but too few for a verdict.
fn few(claim: &Judged, alert: &Alert, pace: &Pace) -> String {
    let phases = [(14 * STEPS, 0), (STEPS, claim.limit.samples_min() / (STEPS + 1))];
    let steps = phases.iter().map(|(steps, _)| steps).sum();
    let mut text = head(claim, alert);
    text += &series(claim, &claim.series.labels, None, &counter(phases));
    text += &series(claim, &claim.series.labels, Some(claim.limit.limit_s()), &counter([(steps, 0)]));
    text += "    promql_expr_test:\n";
    text + &expectation(claim, alert, pace, steps, false, "too few figures")
}

/// Labels of figures in the same histogram that the claim is not about.
fn others(limit: &LatencyLimit) -> Vec<String> {
    let other_hop = if limit.hop == Hop::Accept { Hop::Persist } else { Hop::Accept };
    let hop = limit.hop.as_str();
    let origin = limit.origin.map(|origin| if origin == Origin::Own { Origin::Peer } else { Origin::Own });
    let recipients =
        Recipient::ALL.into_iter().filter(|other| limit.recipient.is_some_and(|it| it != *other));
    let mut labels = vec![format!("hop=\"{}\"", other_hop.as_str())];
    labels.extend(origin.map(|origin| format!("hop=\"{hop}\",origin=\"{}\"", origin.as_str())));
    labels.extend(recipients.map(|other| format!("hop=\"{hop}\",recipient=\"{}\"", other.as_str())));
    labels
}

fn head(claim: &Judged, alert: &Alert) -> String {
    let step = window(alert.short_s / STEPS);
    format!("  - name: {} {}\n    interval: {step}\n    input_series:\n", claim.claim.id, alert.name)
}

fn series(claim: &Judged, labels: &str, bound_s: Option<f64>, values: &str) -> String {
    let name = claim.series.name;
    let series = match bound_s {
        None => format!("{name}_count{{{labels}}}"),
        Some(bound) => format!("{name}_bucket{{{labels},le=\"{bound}\"}}"),
    };
    format!("      - series: '{series}'\n        values: {values}\n")
}

/// A counter's values from 0 on: in each phase so many steps by so much each.
fn counter(phases: impl IntoIterator<Item = (u64, u64)>) -> String {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (steps, by) in phases {
        match joined.last_mut() {
            Some(last) if last.1 == by => last.0 += steps,
            _ => joined.push((steps, by)),
        }
    }
    let mut values = String::from("0");
    let mut value = 0;
    for (steps, by) in joined {
        let _ = write!(values, " {}+{by}x{}", value + by, steps - 1);
        value += steps * by;
    }
    values
}

fn expectation(claim: &Judged, alert: &Alert, pace: &Pace, steps: u64, fires: bool, why: &str) -> String {
    let labels = format!(
        "alertname=\"{}\",alertstate=\"firing\",claim=\"{}\",pace=\"{}\",window=\"{}\"",
        alert.name,
        claim.claim.id,
        pace.name,
        window(alert.long_s)
    );
    let samples = if fires {
        let labels = format!("{labels},severity=\"{}\"", alert.severity);
        format!("\n          - labels: 'ALERTS{{{labels}}}'\n            value: 1\n")
    } else {
        " []\n".to_owned()
    };
    format!(
        "      - expr: ALERTS{{{labels}}} # {why}\n        eval_time: {}\n        exp_samples:{samples}",
        window(steps * alert.short_s / STEPS)
    )
}
