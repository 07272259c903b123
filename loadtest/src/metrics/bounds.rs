//! The bounds of duration histograms: those of the servers, so that both can be drawn over one another.

/// The E12 series of preferred numbers from 10 µs to 10 s, and the budgets' limits, in seconds. To be replaced by
/// `hopline::hop::BOUNDS_SECONDS` once that is generated from the budgets.
pub(super) fn bounds_seconds() -> Vec<f64> {
    const E12: [f64; 12] = [1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2];
    const BUDGETS: [f64; 1] = [0.5];
    let decades = [1e5, 1e4, 1e3, 1e2, 1e1, 1e0];
    let series = decades.iter().flat_map(|decade| E12.map(|number| number / decade));
    let mut bounds: Vec<f64> = series.chain(BUDGETS).chain([10.0]).collect();
    bounds.sort_by(f64::total_cmp);
    bounds
}
