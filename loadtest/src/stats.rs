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

/// A mean, and where the true one lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    /// The square of its standard error.
    pub(crate) variance: f64,
    /// Degrees of freedom of the latter.
    pub(crate) freedom: u32,
}

impl Mean {
    /// Of at least two measurements that don't depend on one another, else none.
    pub(crate) fn of(measurements: &[f64]) -> Option<Self> {
        let freedom =
            u32::try_from(measurements.len().checked_sub(1)?).ok().filter(|&freedom| freedom > 0)?;
        let count = measurements.len() as f64;
        let value = measurements.iter().sum::<f64>() / count;
        let squares: f64 = measurements.iter().map(|one| (one - value).powi(2)).sum();
        Some(Self { value, variance: squares / f64::from(freedom) / count, freedom })
    }

    /// How far the true mean may lie off, on either side, if one may err with this chance.
    pub(crate) fn margin(&self, error: f64) -> f64 {
        student(self.freedom, error) * self.variance.sqrt()
    }
}

/// The value that Student's t exceeds, on either side, with this chance.
pub(crate) fn student(freedom: u32, chance: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if student_beyond(freedom, middle) > chance {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The chance that Student's t lies beyond ±t: Abramowitz and Stegun, 26.7.3 and 26.7.4.
fn student_beyond(freedom: u32, t: f64) -> f64 {
    let angle = (t / f64::from(freedom).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let is_odd = freedom % 2 == 1;
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    for k in (if is_odd { 1..freedom } else { 0..freedom }).step_by(2) {
        sum += term;
        term *= cosine * cosine * f64::from(k + 1) / f64::from(k + 2);
    }
    let within = if is_odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum };
    1.0 - within
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
    fn student_is_as_in_the_tables() {
        let table =
            [(1, 0.05, 12.706), (2, 0.05, 4.303), (5, 0.01, 4.032), (6, 0.002, 5.208), (9, 0.05, 2.262)];
        for (freedom, chance, expected) in table.into_iter().chain([(1_000, 0.05, 1.962), (3, 0.1, 2.353)]) {
            assert!((student(freedom, chance) - expected).abs() < 0.001, "{freedom} {chance}");
        }
    }

    #[test]
    fn a_mean_knows_its_margin() {
        let mean = Mean::of(&[1.0, 2.0, 3.0]).unwrap();
        assert!((mean.value - 2.0).abs() < 1e-12);
        assert!((mean.margin(0.05) - 4.303 / 3.0_f64.sqrt()).abs() < 0.001);
        assert_eq!(Mean::of(&[1.0]), None);
    }

    #[test]
    fn too_few_measurements_say_nothing() {
        assert_eq!(Median::of(&[1.0; PAIRS_MIN - 1]), None);
    }
}
