//! What a report keeps of a series of latencies beside its figures.

use serde::Serialize;

use super::counts::encode;
use crate::{latency::Latencies, run::Outcome};

/// Slices of a run; a longer run has longer ones.
pub(super) const SLICES_MAX: u32 = 60;
const SECOND_US: u32 = 1_000_000;

/// A whole series, and how it went on: each histogram in `HdrHistogram`'s compressed V2 form, in base64. Values are
/// microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Whole {
    /// Of the whole measured window.
    pub(crate) histogram: String,
    /// How long a slice lasts; the last one may be shorter.
    pub(crate) slice_s: f64,
    /// Of messages due in one slice of the window after the other; an empty text where there are none.
    pub(crate) slices: Vec<String>,
}

/// Of each series that holds anything, in the order of [`Latencies::series`].
pub(crate) fn wholes(outcome: &Outcome, latencies: &Latencies) -> Vec<Whole> {
    let window = &outcome.window_us;
    let seconds = (window.end - window.start).div_ceil(SECOND_US);
    let slice_us = seconds.div_ceil(SLICES_MAX).max(1) * SECOND_US;
    let whole = |histogram| Whole { histogram, slice_s: f64::from(slice_us) / 1e6, slices: Vec::new() };
    let mut wholes: Vec<Whole> = latencies.series().map(|series| whole(encode(series.histogram()))).collect();
    let mut start = window.start;
    while start < window.end {
        let end = start.saturating_add(slice_us).min(window.end);
        // Written out at once: the histograms themselves are large.
        let slice = Latencies::within(outcome, &(start..end));
        for (whole, series) in wholes.iter_mut().zip(latencies.series()) {
            let text = slice.get(series.key).map(|part| encode(part.histogram()));
            whole.slices.push(text.unwrap_or_default());
        }
        start = end;
    }
    wholes
}
