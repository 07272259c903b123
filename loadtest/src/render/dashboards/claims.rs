//! The budget's latency claims as panels.

use hopline::hop::{Hop, Origin};
use serde_json::json;

use super::{
    colours,
    panel::Panel,
    promql::{Metric, load_test, servers},
    target::Target,
};
use crate::budget::{Budget, LatencyLimit};

/// The claims that are judged by a latency.
pub(super) struct Claims(Vec<Claim>);

struct Claim {
    id: String,
    sentence: String,
    limit: LatencyLimit,
}

impl Claims {
    /// Those of a budget. What is not measured is not shown.
    pub(super) fn of(budget: &Budget) -> Self {
        let judged = budget.claims.iter().filter(|claim| claim.not_measured.is_none());
        let claims = judged.filter_map(|claim| {
            let limit = claim.latency?;
            Some(Claim { id: claim.id.clone(), sentence: claim.sentence.clone(), limit })
        });
        Self(claims.collect())
    }

    /// The limits of a hop in seconds, each once.
    pub(super) fn limits_seconds(&self, hop: Hop) -> Vec<f64> {
        let claims = self.0.iter().filter(|claim| claim.limit.hop == hop);
        let mut limits: Vec<f64> = claims.map(|claim| claim.limit.limit_ms / 1_000.0).collect();
        limits.sort_by(f64::total_cmp);
        limits.dedup();
        limits
    }

    /// The share within each limit, burn rates and alerts.
    pub(super) fn panels(&self) -> Vec<Panel> {
        let mut panels: Vec<Panel> = self.0.iter().map(Claim::figure).collect();
        panels.extend([self.shares(), self.burn_rates(), alerts()]);
        panels
    }

    fn shares(&self) -> Panel {
        let panel = Panel::lines(
            "Share within the limit",
            "percentunit",
            "The share of messages that took no longer than each claim's limit. It is exact: a bucket ends there.",
        );
        let panel = panel.max(1.0).size(12, 8);
        self.0.iter().fold(panel, |panel, claim| {
            panel.query(&claim.id, claim.share("$__rate_interval")).with(colours::named(
                &claim.id,
                "color",
                &colours::fixed(colours::of(claim.limit.hop)),
            ))
        })
    }

    fn burn_rates(&self) -> Panel {
        let panel = Panel::lines(
            "Burn rate",
            "suffix:x",
            "How fast each claim's tolerance is used up: a p99 tolerates 1 % beyond the limit, so 2 % burn at 2x. \
             Above 1 for long, the claim is broken. The short window says that it happens now, the long one that it \
             matters.",
        );
        let panel = panel.limits(&[1.0]).size(12, 8);
        self.0.iter().fold(panel, |panel, claim| {
            let name = |window: &str| format!("{} over {window}", claim.id);
            let dashed = json!({ "fill": "dash", "dash": [6, 4] });
            let colour = colours::fixed(colours::of(claim.limit.hop));
            ["5m", "1h"]
                .into_iter()
                .fold(panel, |panel, window| {
                    panel.query(&name(window), claim.burn_rate(window)).with(colours::named(
                        &name(window),
                        "color",
                        &colour,
                    ))
                })
                .with(colours::named(&name("1h"), "custom.lineStyle", &dashed))
        })
    }
}

impl Claim {
    fn metric(&self) -> Metric {
        let name = self.limit.hop.as_str();
        let metric = if self.limit.hop == Hop::Total {
            load_test("hopline_loadtest_hop_duration_seconds").with("hop", name)
        } else {
            servers("hopline_hop_duration_seconds").with("hop", name)
        };
        let metric = match self.limit.origin {
            Some(origin) => metric.with("origin", origin.as_str()),
            None => metric,
        };
        match self.limit.recipient {
            Some(recipient) if self.limit.hop != Hop::Total => metric.with("recipient", recipient.as_str()),
            _ => metric,
        }
    }

    fn share(&self, window: &str) -> String {
        self.metric().share_within(self.limit.limit_ms, window)
    }

    fn burn_rate(&self, window: &str) -> String {
        let tolerated = 1.0 - self.limit.percentile / 100.0;
        // Rounded: 1 - 0.99 is not 0.01 in binary.
        let tolerated = (tolerated * 1e9).round() / 1e9;
        format!("(1 - {}) / {tolerated}", self.share(window))
    }

    fn figure(&self) -> Panel {
        let LatencyLimit { hop, origin, percentile, limit_ms, .. } = self.limit;
        let origin = if origin == Some(Origin::Own) { ", on one clock" } else { "" };
        Panel::figures(
            &format!("{}: within {limit_ms} ms", self.id),
            "percentunit",
            &format!(
                "The share of messages whose {} took at most {limit_ms} ms{origin}, over the time shown. The claim \
                 wants {percentile} %. In the decision's words: {}",
                hop.as_str(),
                self.sentence
            ),
        )
        .target(Target::once(&self.id, self.share("$__range")))
        .at_least(percentile / 100.0)
        .size(6, 4)
    }
}

fn alerts() -> Panel {
    let panel =
        Panel::states("Alerts", "Alerts that wait (pending) or fire. Empty as long as there was none.");
    let states = json!([{ "type": "value", "options": {
        "1": { "text": "pending", "color": "#E69F00", "index": 0 },
        "2": { "text": "firing", "color": colours::BAD, "index": 1 },
    }}]);
    let expr = "2 * max by (alertname) (ALERTS{alertname=~\"Hopline.*\",alertstate=\"firing\"}) or \
        max by (alertname) (ALERTS{alertname=~\"Hopline.*\",alertstate=\"pending\"})";
    panel
        .query("{{alertname}}", expr.to_owned())
        .with(colours::matching(".*", "mappings", &states))
        .size(24, 4)
}
