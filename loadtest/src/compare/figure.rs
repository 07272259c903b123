//! What is compared.

use serde::Serialize;

use crate::archive::{Counts, Run, Series};

/// Those that say something of servers. What a message's first, median and last recipient see is in `total`.
const MEASURES: [&str; 8] = ["accept", "persist", "publish", "broadcast", "receive", "send", "ack", "total"];
/// The hops of a message's path.
const HOPS: [&str; 6] = ["accept", "persist", "publish", "broadcast", "receive", "send"];
/// What a hop costs if nothing is in its way, which hardly depends on who else uses the machine; the median; the tail.
const PERCENTILES: [f64; 3] = [5.0, 50.0, 99.0];

/// A figure of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// A series of latencies, or `CPU a delivery`.
    pub(crate) series: String,
    /// Of a latency in milliseconds; without it the figure is in microseconds of processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) percentile: Option<f64>,
    #[serde(skip)]
    is_hop: bool,
}

impl Figure {
    /// Whether it is about a hop alone.
    pub(crate) fn is_hop(&self) -> bool {
        self.is_hop
    }

    /// Whether it is part of the tail.
    pub(crate) fn is_tail(&self) -> bool {
        self.percentile == Some(99.0)
    }

    /// Runs of one build differ in it by so much more than in their best cases.
    pub(super) fn noise_factor(&self) -> f64 {
        match self.percentile {
            Some(50.0) => 2.0,
            Some(99.0) => 6.0,
            _ => 1.0,
        }
    }

    /// What it is in a whole run.
    pub(super) fn of(&self, run: &Run) -> Option<f64> {
        match self.percentile {
            None => run.servers_us_per_delivery,
            Some(percentile) => self.series(run)?.whole.percentile_ms(percentile),
        }
    }

    /// What it is in each of up to so many parts of a run that follow one another; none if it is known of the whole run only.
    pub(super) fn of_parts(&self, run: &Run, parts: usize) -> Option<Vec<f64>> {
        let percentile = self.percentile?;
        let slices: Vec<&Counts> =
            self.series(run)?.slices.iter().filter(|slice| slice.count() > 0).collect();
        let parts = parts.min(slices.len());
        let part = |number: usize| {
            let from = |number: usize| slices.len() * number / parts;
            let slices = &slices[from(number)..from(number + 1)];
            Counts::merged(slices.iter().copied()).percentile_ms(percentile)
        };
        (0..parts).map(part).collect()
    }

    fn series<'a>(&self, run: &'a Run) -> Option<&'a Series> {
        run.series.iter().find(|series| series.name() == self.series)
    }
}

/// All figures that every run has.
pub(super) fn common(baseline: &[Run], candidate: &[Run]) -> Vec<Figure> {
    let all = || baseline.iter().chain(candidate);
    let mut figures = Vec::new();
    for series in baseline.first().into_iter().flat_map(|run| &run.series) {
        let told_apart = series.measure == "total" && series.recipient.is_some();
        let is_wanted = MEASURES.contains(&series.measure.as_str()) && !told_apart;
        if is_wanted && all().all(|run| run.like(series).is_some()) {
            figures.extend(PERCENTILES.map(|percentile| Figure {
                series: series.name(),
                percentile: Some(percentile),
                is_hop: HOPS.contains(&series.measure.as_str()),
            }));
        }
    }
    if all().all(|run| run.servers_us_per_delivery.is_some()) {
        figures.push(Figure { series: "CPU a delivery".into(), percentile: None, is_hop: false });
    }
    figures
}
