//! What `saturate` reports.

use serde::Serialize;

use super::{
    Conclusion, Measured, Report, Style,
    terminal::{ending, layout, line, measured},
};
use crate::plan::Layout;

/// The report of `saturate`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SaturateReport {
    /// How it ended.
    pub(crate) result: Conclusion,
    /// Who talked to whom.
    pub(crate) layout: Layout,
    /// Messages that each publisher kept unanswered.
    pub(crate) outstanding: usize,
    /// For how long.
    pub(crate) seconds: u64,
    /// Messages acknowledged in each second.
    pub(crate) per_second: Vec<u64>,
    /// The least of these, without the first second.
    pub(crate) per_second_min: u64,
    /// Their median, without the first second.
    pub(crate) per_second_median: u64,
    /// The rate that was asked for; it fails below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at_least_per_s: Option<f64>,
    /// What was measured.
    #[serde(flatten)]
    pub(crate) measured: Measured,
}

impl Report for SaturateReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        line(
            &mut text,
            "Workload",
            &format!(
                "as fast as answers come for {} s, each publisher with {} unanswered; {}",
                self.seconds,
                self.outstanding,
                layout(&self.layout)
            ),
        );
        measured(&mut text, &self.measured, style);
        line(
            &mut text,
            "Durable",
            &format!(
                "{:.0} messages/s acknowledged; by the second: min {}, median {} (without the first)",
                self.measured.throughput.acknowledged_per_s, self.per_second_min, self.per_second_median
            ),
        );
        if let Some(rate) = self.at_least_per_s {
            line(&mut text, "Asked for", &format!("{rate:.0} messages/s"));
        }
        ending(&mut text, self.result, &self.measured.invalid);
        text
    }
}
