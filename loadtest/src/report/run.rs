//! What `run` and `adr` report.

use std::fmt::Write;

use serde::Serialize;

use super::{
    Conclusion, Measured, Report, Style,
    claims::claims,
    required::required,
    terminal::{ending, layout, line, measured},
};
use crate::{plan::Workload, require::Required, verdict::Judged};

/// The report of `run` and `adr`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunReport {
    /// How it ended.
    pub(crate) result: Conclusion,
    /// What was done.
    pub(crate) workload: Workload,
    /// What was measured.
    #[serde(flatten)]
    pub(crate) measured: Measured,
    /// The decision that was judged; only for `adr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<String>,
    /// Its claims.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) claims: Vec<Judged>,
    /// What was required.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) requirements: Vec<Required>,
    /// Whether it ended before its time, because it couldn't be passed any more.
    pub(crate) ended_early: bool,
}

impl Report for RunReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let workload = &self.workload;
        line(
            &mut text,
            "Workload",
            &format!(
                "{} messages/s for {} s after {} s of warm-up; {}",
                rates(workload),
                workload.duration.as_secs_f64(),
                workload.warm_up.as_secs_f64(),
                layout(&workload.layout)
            ),
        );
        measured(&mut text, &self.measured, style);
        if let Some(decision) = &self.decision {
            let _ = writeln!(text, "\n{decision}");
            let _ = writeln!(text, "{}", claims(&self.claims, style));
        }
        if !self.requirements.is_empty() {
            let _ = writeln!(text, "\n{}", required(&self.requirements, style));
        }
        if self.ended_early {
            let _ = writeln!(text, "\nIt ended before its time, because it couldn't be passed any more.");
        }
        ending(&mut text, self.result, &self.measured.invalid);
        text
    }
}

fn rates(workload: &Workload) -> String {
    if workload.steps.is_empty() {
        return workload.rate_per_s.to_string();
    }
    let rates: Vec<String> = workload.steps.iter().map(|step| step.rate_per_s.to_string()).collect();
    rates.join(" → ")
}
