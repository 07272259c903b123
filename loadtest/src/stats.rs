//! What may be said of a few repeated measurements.

use serde::Serialize;

/// Measurements below which there is no interval: of fewer, even the smallest and the largest are too close.
pub(crate) const PAIRS_MIN: usize = 7;

/// The median of some measurements, and where the true one lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Median {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Median {
    /// Of at least [`PAIRS_MIN`] measurements, else none. The interval assumes nothing of their distribution: it is the one
    /// between two of them that the sign test gives (Conover, Practical Nonparametric Statistics, 3.2).
    pub(crate) fn of(measurements: &[f64]) -> Option<Self> {
        let mut sorted = measurements.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        if count < PAIRS_MIN {
            return None;
        }
        let outside = outside_each_end(count);
        let middle = f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
        Some(Self { value: middle, low: sorted[outside], high: sorted[count - 1 - outside] })
    }
}

/// How many of so many measurements may be left out at each end, with at most 2.5 % to err there.
fn outside_each_end(count: usize) -> usize {
    // The chance that exactly k of n lie below the true median, for k = 0, 1, 2 …
    let mut chance = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut below = 0.0;
    for left_out in 0..count / 2 {
        below += chance;
        if below > 0.025 {
            return left_out.saturating_sub(1);
        }
        chance *= (count - left_out) as f64 / (left_out + 1) as f64;
    }
    count / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_sign_test() {
        // From the table of the binomial distribution with p = 1/2: the ranks that enclose at least 95 %.
        for (count, lowest_rank) in [(7, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8)] {
            let measurements: Vec<f64> = (1..=count).map(f64::from).collect();
            let median = Median::of(&measurements).unwrap();
            let expected =
                [f64::from(lowest_rank), f64::from(count + 1) / 2.0, f64::from(count + 1 - lowest_rank)];
            assert_eq!(format!("{:?}", [median.low, median.value, median.high]), format!("{expected:?}"));
        }
    }

    #[test]
    fn too_few_measurements_say_nothing() {
        assert_eq!(Median::of(&[1.0; PAIRS_MIN - 1]), None);
    }
}
