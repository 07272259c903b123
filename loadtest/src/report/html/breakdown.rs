//! Which share of the total each hop takes.

use hopline::hop::Hop;

use crate::{
    latency::{Latencies, Measure},
    run::Outcome,
    traces::{Path, Store},
};

/// What clients measured, by the names of figures that add up. Of `broadcast` there are several.
const PARTS: [&str; 7] =
    ["send_lag", "accept", "persist", "outbox", "broadcast", "receive", "send_and_drain"];
/// What is left of the total.
pub(super) const REST: &str = "rest";
const NS_PER_MS: f64 = 1_000_000.0;

/// Where the time of a set of messages went, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Breakdown {
    pub(super) title: String,
    /// By the parts' names, in the order of the path; what no hop explains comes last.
    pub(super) parts: Vec<(&'static str, f64)>,
}

impl Breakdown {
    pub(super) fn total_ms(&self) -> f64 {
        self.parts.iter().map(|(_, ms)| ms).sum()
    }

    fn new(title: String, mut parts: Vec<(&'static str, f64)>, total_ms: f64) -> Self {
        let known: f64 = parts.iter().map(|(_, ms)| ms).sum();
        parts.push((REST, (total_ms - known).max(0.0)));
        Self { title, parts }
    }
}

/// Of all messages, and of typical and slow traced ones, as far as they are known.
pub(super) fn all(outcome: &Outcome, latencies: &Latencies, store: Option<&Store>) -> Vec<Breakdown> {
    let mut all: Vec<Breakdown> = mean(latencies).into_iter().collect();
    let mut paths = store.map(|store| paths(outcome, store)).unwrap_or_default();
    paths.sort_by_key(|path| path.total_ns);
    let count = paths.len();
    if count >= 20 {
        all.push(mean_path(
            "Traced, around the median",
            &paths[count * 45 / 100..(count * 55).div_ceil(100)],
        ));
        all.push(mean_path("Traced, the slowest 5 %", &paths[count * 95 / 100..]));
    }
    all
}

fn mean(latencies: &Latencies) -> Option<Breakdown> {
    let total = |measure| measure == Measure::Hop(Hop::Total);
    let total =
        latencies.series().find(|series| total(series.key.measure) && series.key.recipient.is_none())?;
    let of = |name: &&'static str| {
        let (mut count, mut sum) = (0, 0.0);
        for series in latencies.series() {
            if series.key.measure.as_str() == *name && series.key.recipient.is_none() {
                count += series.count();
                sum += series.mean_ms() * series.count() as f64;
            }
        }
        (count > 0).then(|| (*name, sum / count as f64))
    };
    Some(Breakdown::new("All, mean".to_owned(), PARTS.iter().filter_map(of).collect(), total.mean_ms()))
}

/// The ways of the traced messages that were due within the measured window.
fn paths(outcome: &Outcome, store: &Store) -> Vec<Path> {
    let Some(traced) = &outcome.traced else {
        return Vec::new();
    };
    let due = outcome.evidence.records.iter().filter(|(index, record)| {
        traced.sampling.is_sampled(*index) && outcome.window_us.contains(&record.intended_us)
    });
    due.filter_map(|(index, _)| Path::of(&store.trace(traced.sampling.trace_id(index))?)).collect()
}

/// The mean of each part, of paths that aren't none.
fn mean_path(title: &str, paths: &[Path]) -> Breakdown {
    let mean = |ns: u64| ns as f64 / paths.len() as f64 / NS_PER_MS;
    let mut parts: Vec<(&'static str, u64)> = Vec::new();
    for (hop, ns) in paths.iter().flat_map(|path| &path.hops) {
        match parts.iter_mut().find(|(name, _)| name == hop) {
            Some((_, sum)) => *sum += ns,
            None => parts.push((hop, *ns)),
        }
    }
    let total_ns = paths.iter().map(|path| path.total_ns).sum();
    let parts = parts.into_iter().map(|(name, ns)| (name, mean(ns))).collect();
    Breakdown::new(format!("{title} ({})", paths.len()), parts, mean(total_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_and_the_rest_add_up_to_the_total() {
        let path = |persist_ns, total_ns| Path {
            node: "a".to_owned(),
            total_ns,
            hops: vec![("accept", 1_000_000), ("persist", persist_ns)],
        };
        let breakdown = mean_path("Slow", &[path(2_000_000, 8_000_000), path(4_000_000, 8_000_000)]);
        assert_eq!(breakdown.title, "Slow (2)");
        assert_eq!(breakdown.parts, [("accept", 1.0), ("persist", 3.0), (REST, 4.0)]);
        assert!((breakdown.total_ms() - 8.0).abs() < 1e-9);
    }

    #[test]
    fn hops_that_overlap_leave_no_rest() {
        let breakdown = Breakdown::new(String::new(), vec![("accept", 2.0)], 1.0);
        assert_eq!(breakdown.parts, [("accept", 2.0), (REST, 0.0)]);
    }
}
