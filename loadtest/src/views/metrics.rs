//! The second view: what Prometheus computes.

use hopline::hop::{Hop, Origin, Recipient};

use super::{Figures, KEYS, View, hop_of};
use crate::{backends::PrometheusApi, latency::Key};

/// Of all that was counted since the servers were started.
pub(super) async fn view(prometheus: &PrometheusApi) -> anyhow::Result<View> {
    let mut view = View::new();
    for key in KEYS {
        let series = Series::of(key);
        let count = prometheus.value(&series.sum("count")).await?.unwrap_or_default();
        let sum = prometheus.value(&series.sum("sum")).await?;
        let p50 = prometheus.value(&series.quantile(0.5)).await?;
        let p99 = prometheus.value(&series.quantile(0.99)).await?;
        if let (Some(sum), Some(p50), Some(p99)) = (sum, p50, p99) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let whole = count.round() as u64;
            let mean_ms = sum * 1e3 / count;
            view.push((key, Figures { count: whole, mean_ms, p50_ms: p50 * 1e3, p99_ms: p99 * 1e3 }));
        }
    }
    Ok(view)
}

struct Series {
    name: &'static str,
    matchers: String,
}

impl Series {
    /// The load generator measures `total`, the servers everything else.
    fn of(key: Key) -> Self {
        let hop = hop_of(key);
        let name = match hop {
            Hop::Total => "hopline_loadtest_hop_duration_seconds",
            _ => "hopline_hop_duration_seconds",
        };
        let labels = [
            ("hop", Some(hop.as_str())),
            ("origin", key.origin.map(Origin::as_str)),
            ("recipient", key.recipient.map(Recipient::as_str)),
        ];
        let matcher = |(label, value): (&str, Option<&str>)| Some(format!("{label}=\"{}\"", value?));
        let matchers = labels.into_iter().filter_map(matcher).collect::<Vec<_>>().join(",");
        Self { name, matchers }
    }

    fn sum(&self, part: &str) -> String {
        format!("sum({}_{part}{{{}}})", self.name, self.matchers)
    }

    fn quantile(&self, quantile: f64) -> String {
        format!("histogram_quantile({quantile}, sum by (le) ({}_bucket{{{}}}))", self.name, self.matchers)
    }
}
