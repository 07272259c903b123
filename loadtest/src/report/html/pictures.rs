//! What the page draws, gathered after the run.

use std::iter::once;

use hopline::hop::Origin;

use super::{
    breakdown::{self, Breakdown},
    timeline::Timeline,
};
use crate::{
    latency::{Key, Latencies, Measure, Series},
    run::Outcome,
    traces::{Store, Trace},
};

/// Waterfalls that the page shows.
const TRACES_SHOWN: usize = 3;
/// Points of a curve for each tenfold of rarity.
const POINTS_PER_DECADE: u32 = 16;
/// A percentile is drawn as long as so many figures lie beyond it.
const BEYOND: f64 = 10.0;

/// What the page draws. Empty for commands that have no page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pictures {
    /// In the order of the path.
    pub(super) curves: Vec<Curve>,
    pub(super) timeline: Timeline,
    pub(super) breakdowns: Vec<Breakdown>,
    /// The slowest of the measured window, the slowest first.
    pub(super) slowest: Vec<Trace>,
}

/// The percentiles of a hop.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// The class of its colour, after `hue-`.
    pub(super) hue: String,
    pub(super) name: String,
    /// Told apart from the hop's other curve.
    pub(super) is_second: bool,
    /// Percentile and milliseconds.
    pub(super) points: Vec<(f64, f64)>,
}

impl Pictures {
    /// Of a run; the store holds its traces, if they are here.
    pub(crate) fn of(outcome: &Outcome, latencies: &Latencies, store: Option<&Store>) -> Self {
        let traces = store.zip(outcome.traced.as_ref());
        let slowest = traces.into_iter().flat_map(|(store, traced)| {
            traced.slowest.iter().filter_map(|slow| store.trace(slow.trace_id)).take(TRACES_SHOWN)
        });
        Self {
            curves: latencies.series().filter_map(Curve::of).collect(),
            timeline: Timeline::of(outcome),
            breakdowns: breakdown::all(outcome, latencies, store),
            slowest: slowest.collect(),
        }
    }
}

impl Curve {
    /// None if the series is no hop, or about one recipient among many.
    fn of(series: &Series) -> Option<Self> {
        let Key { measure: Measure::Hop(hop), origin, recipient: None } = series.key else {
            return None;
        };
        let name = match origin {
            Some(origin) => format!("{}, {}", hop.as_str(), origin.as_str()),
            None => hop.as_str().to_owned(),
        };
        Some(Self {
            is_second: origin == Some(Origin::Peer),
            ..Self::named(&name, hop.as_str().to_owned(), series)
        })
    }

    /// Of any series.
    pub(super) fn named(name: &str, hue: String, series: &Series) -> Self {
        let percentile =
            |step: u32| 100.0 - 100.0 / 10_f64.powf(f64::from(step) / f64::from(POINTS_PER_DECADE));
        let is_known = |percentile: &f64| series.count() as f64 * (100.0 - percentile) / 100.0 >= BEYOND;
        let steps = (0..=3 * POINTS_PER_DECADE).map(percentile).filter(|percentile| *percentile > 50.0);
        let shown = once(50.0).chain(steps);
        let points =
            shown.take_while(is_known).map(|percentile| (percentile, series.percentile_ms(percentile)));
        Self { hue, name: name.to_owned(), is_second: false, points: points.collect() }
    }
}
