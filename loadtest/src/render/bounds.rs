//! The bounds of the duration histograms.

use super::{File, HEADER};
use crate::budget::Budget;

/// The E12 series of preferred numbers: neighbours lie at most 1.25× apart.
const E12: [&str; 12] = ["1", "1.2", "1.5", "1.8", "2.2", "2.7", "3.3", "3.9", "4.7", "5.6", "6.8", "8.2"];
/// From 10 µs on, up to 10 s.
const DECADES: [&str; 6] = ["e-5", "e-4", "e-3", "e-2", "e-1", "e0"];
const LAST_S: f64 = 10.0;

/// The series from 10 µs to 10 s, and every limit of the budget, ascending, in seconds.
pub(super) fn seconds(budget: &Budget) -> Vec<f64> {
    let number = |text: String| text.parse::<f64>().expect("a number with an exponent is a number");
    let series = DECADES.iter().flat_map(|decade| E12.map(|mantissa| number(format!("{mantissa}{decade}"))));
    let limits = budget.claims.iter().filter_map(|claim| claim.latency).map(|limit| limit.limit_s());
    let mut bounds: Vec<f64> = series.chain([LAST_S]).chain(limits).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    bounds
}

pub(super) fn file(budget: &Budget) -> File {
    let bounds = seconds(budget);
    let numbers: Vec<String> = bounds.iter().map(|bound| format!("{bound:e}")).collect();
    let decade = |number: &str| number.split_once('e').map(|(_, decade)| decade.to_owned());
    let lines: Vec<String> = numbers
        .chunk_by(|one, other| decade(one) == decade(other))
        .map(|numbers| numbers.join(", "))
        .collect();
    let text = format!(
        "//! {HEADER}\n\n\
         /// Upper bounds of the buckets of every duration, ascending: the E12 series of preferred numbers, whose\n\
         /// neighbours lie at most 1.25× apart, from 10 µs to 10 s, and the limit of every budget.\n\
         #[rustfmt::skip]\n\
         pub const BOUNDS_SECONDS: [f64; {}] = [\n    {},\n];\n",
        bounds.len(),
        lines.join(",\n    ")
    );
    File { path: "src/hop/bounds.rs".into(), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_a_bound_once() {
        let text = "version = 1\ndecision = \"d\"\n\
            [[claim]]\nid = \"new\"\nsentence = \"s\"\nlatency = { hop = \"total\", percentile = 99.0, limit_ms = 0.7 }\n\
            [[claim]]\nid = \"known\"\nsentence = \"s\"\nlatency = { hop = \"total\", percentile = 99.0, limit_ms = 2.2 }\n";
        let bounds = seconds(&Budget::parse(text).unwrap());
        assert_eq!(bounds.len(), 12 * 6 + 2);
        for limit in [0.0007, 0.0022] {
            assert_eq!(bounds.iter().filter(|bound| bound.total_cmp(&limit).is_eq()).count(), 1, "{limit}");
        }
    }
}
