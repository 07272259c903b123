//! Do the views agree?

use hopline::hop::BOUNDS_SECONDS;
use serde::Serialize;

use super::{Figures, KEYS, Views, clients_can, figures};
use crate::latency::Key;

/// The clients' histograms have three digits.
const DIGITS: f64 = 0.001;

/// A hop in all views.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) clients: Option<Figures>,
    pub(crate) prometheus: Option<Figures>,
    pub(crate) spans: Option<Figures>,
    pub(crate) agreement: Agreement,
}

/// What the comparison says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Agreement {
    /// Each view that can have the hop has it, and its figures lie in the bucket that Prometheus names.
    Agree,
    /// They differ, in this.
    Differ(String),
}

/// Every hop, compared.
pub(crate) fn rows(views: &Views) -> Vec<Row> {
    let row = |key| {
        let [clients, prometheus, spans] =
            [&views.clients, &views.prometheus, &views.spans].map(|view| figures(view, key));
        Row { key, clients, prometheus, spans, agreement: compare(key, clients, prometheus, spans) }
    };
    KEYS.map(row).into()
}

fn compare(
    key: Key,
    clients: Option<Figures>,
    prometheus: Option<Figures>,
    spans: Option<Figures>,
) -> Agreement {
    let Some(prometheus) = prometheus else {
        return Agreement::Differ("Prometheus has nothing".into());
    };
    let Some(spans) = spans else {
        return Agreement::Differ("there are no spans".into());
    };
    if clients.is_none() && clients_can(key) {
        return Agreement::Differ("the clients have nothing".into());
    }
    for (view, figures) in [("clients", clients), ("spans", Some(spans))] {
        let Some(figures) = figures else { continue };
        if figures.count != prometheus.count {
            return Agreement::Differ(format!(
                "count: {view} {}, Prometheus {}",
                figures.count, prometheus.count
            ));
        }
        let pairs = [("p50", figures.p50_ms, prometheus.p50_ms), ("p99", figures.p99_ms, prometheus.p99_ms)];
        for (name, exact_ms, bucketed_ms) in pairs {
            if !is_in_bucket_of(bucketed_ms, exact_ms) {
                return Agreement::Differ(format!(
                    "{name}: {view} {exact_ms:.4} ms, Prometheus {bucketed_ms:.4} ms"
                ));
            }
        }
    }
    Agreement::Agree
}

/// Whether a value lies in the bucket into which Prometheus' interpolation fell.
fn is_in_bucket_of(bucketed_ms: f64, exact_ms: f64) -> bool {
    let bounds_ms = || BOUNDS_SECONDS.iter().map(|bound| bound * 1e3);
    // Interpolation reaches a bound exactly where the last value of a bucket is asked for.
    let slack = 1.0 + 1e-9;
    let upper = bounds_ms().find(|bound| bucketed_ms <= bound * slack).unwrap_or(f64::INFINITY);
    let lower = bounds_ms().rfind(|bound| *bound * slack < bucketed_ms).unwrap_or(0.0);
    exact_ms >= lower * (1.0 - DIGITS) && exact_ms <= upper * (1.0 + DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(count: u64, ms: f64) -> Figures {
        Figures { count, mean_ms: ms, p50_ms: ms, p99_ms: ms }
    }

    fn agree(key: Key, clients: Option<Figures>, prometheus: Figures, spans: Figures) -> bool {
        compare(key, clients, Some(prometheus), Some(spans)) == Agreement::Agree
    }

    #[test]
    fn values_of_one_bucket_agree_and_others_do_not() {
        let persist = KEYS[1];
        let prometheus = figures(100, 1.1);
        assert!(agree(persist, Some(figures(100, 1.19)), prometheus, figures(100, 1.01)));
        assert!(!agree(persist, Some(figures(100, 1.21)), prometheus, figures(100, 1.01)));
        assert!(!agree(persist, Some(figures(100, 1.19)), prometheus, figures(100, 0.99)));
        assert!(!agree(persist, Some(figures(99, 1.19)), prometheus, figures(100, 1.01)));
        assert!(!agree(persist, None, prometheus, figures(100, 1.01)));
    }

    #[test]
    fn no_client_can_tell_of_publish() {
        assert!(agree(KEYS[2], None, figures(100, 1.1), figures(100, 1.1)));
        assert!(matches!(compare(KEYS[2], None, Some(figures(1, 1.0)), None), Agreement::Differ(_)));
        assert!(matches!(compare(KEYS[2], None, None, Some(figures(1, 1.0))), Agreement::Differ(_)));
    }
}
