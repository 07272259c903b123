//! The report of `compare` and `ab`.

use std::fmt::Write;

use comfy_table::{Cell, Color, presets};
use serde::Serialize;

use super::{
    Conclusion, Report, Style,
    terminal::{ending, milliseconds, right},
};
use crate::compare::{Change, Compared, Comparison, Limits};

/// The report of `compare` and `ab`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CompareReport {
    pub(crate) result: Conclusion,
    /// What is said of everything together.
    pub(crate) change: Change,
    pub(crate) baseline: Vec<String>,
    pub(crate) candidate: Vec<String>,
    pub(crate) limits: Limits,
    #[serde(flatten)]
    pub(crate) comparison: Comparison,
    pub(crate) invalid: Vec<String>,
}

impl Report for CompareReport {
    fn text(&self, style: Style) -> String {
        let limits = &self.limits;
        let mut text = format!(
            "{} runs of what was, {} of what is. A change matters from {} % and, of a latency, {} ms on.\nError bars hold \
             for all figures together with 95 % confidence, from {}.\n\n",
            self.baseline.len(),
            self.candidate.len(),
            limits.min_effect * 100.0,
            limits.min_effect_ms,
            self.comparison.method.as_str(),
        );
        let header = ["figure", "was", "is", "change", "between", "and", "verdict"];
        let mut table = style.table(presets::NOTHING, &header);
        for compared in &self.comparison.compared {
            table.add_row(row(compared, style));
        }
        let _ = writeln!(text, "{table}\n");
        let _ = writeln!(text, "{}", self.summary());
        ending(&mut text, self.result, &self.invalid);
        text
    }
}

impl CompareReport {
    fn summary(&self) -> String {
        let unclear = self.comparison.compared.iter().filter(|one| one.change == Change::Unclear).count();
        match (self.change, &self.comparison.moved) {
            (change, Some(hop)) => format!("{}: the hop that moved is {hop}", change.as_str()),
            (Change::None, None) if unclear > 0 => {
                format!(
                    "no change was found; {unclear} figures are unclear, which more would tell (`ab --labs`)"
                )
            }
            (change, None) => change.as_str().to_owned(),
        }
    }
}

fn row(compared: &Compared, style: Style) -> Vec<Cell> {
    let figure = &compared.figure;
    let (name, unit) = match figure.percentile {
        Some(percentile) => (format!("{}, p{percentile}", figure.series), "ms"),
        None => (figure.series.clone(), "µs"),
    };
    let value = |value: f64| right(&format!("{} {unit}", milliseconds(value)));
    let percent = |ratio: f64| right(&format!("{:+.1} %", (ratio - 1.0) * 100.0));
    let colour = match compared.change {
        Change::None => Color::Green,
        Change::Better => Color::Cyan,
        Change::Worse => Color::Red,
        Change::Unclear => Color::Yellow,
    };
    vec![
        Cell::new(name),
        value(compared.baseline),
        value(compared.candidate),
        percent(compared.ratio),
        percent(compared.low),
        percent(compared.high),
        style.coloured(compared.change.as_str(), colour),
    ]
}
