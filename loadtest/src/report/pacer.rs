//! What `pacer` reports.

use std::fmt::Write;

use comfy_table::{Cell, presets};
use serde::Serialize;

use super::{
    Report, Style,
    terminal::{figures, line, right},
};
use crate::{latency::Summary, machine::Machine};

/// How late the generator is when nothing else is measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PacerReport {
    pub(crate) rate_per_s: f64,
    pub(crate) seconds: u64,
    pub(crate) machine: Machine,
    /// From the intended time until a publisher's task has the message, where it would be written to the socket.
    pub(crate) send_lag: Summary,
}

impl Report for PacerReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        line(&mut text, "Paced", &format!("{} messages/s for {} s", self.rate_per_s, self.seconds));
        line(&mut text, "Machine", &format!("{} × {}", self.machine.cores, self.machine.cpu));
        let header = ["latency in ms", "p50", "p90", "p99", "p99.9", "max", "count"];
        let mut table = style.table(presets::NOTHING, &header);
        let mut cells = vec![Cell::new("send_lag")];
        cells.extend(figures(&self.send_lag));
        cells.push(right(&self.send_lag.count.to_string()));
        table.add_row(cells);
        let _ = writeln!(text, "\n{table}");
        text
    }
}
