//! The first view: what the clients measured, and the servers' stamps that came with the messages.

use super::{Figures, KEYS, View};
use crate::latency::Latencies;

/// Without `publish` and `send`, of which no message can tell: it leaves before they end.
pub(super) fn view(latencies: &Latencies) -> View {
    let figures = |key| {
        let series = latencies.get(key)?;
        let (p50_ms, p99_ms) = (series.percentile_ms(50.0), series.percentile_ms(99.0));
        Some((key, Figures { count: series.count(), mean_ms: series.mean_ms(), p50_ms, p99_ms }))
    };
    KEYS.into_iter().filter_map(figures).collect()
}
