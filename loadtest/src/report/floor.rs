//! The report of `floor`, and what other reports show of it.

use std::fmt::Write;

use comfy_table::{Cell, Table, presets};
use serde::Serialize;

use super::{
    Report, Style,
    terminal::{figures, line, machine, milliseconds, right},
};
use crate::{
    floor::{Floor, Multiple},
    machine::Machine,
};

/// The report of `floor`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FloorReport {
    pub(crate) machine: Machine,
    #[serde(flatten)]
    pub(crate) floor: Floor,
}

/// What a run was compared with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AboveFloor {
    #[serde(flatten)]
    pub(crate) floor: Floor,
    pub(crate) multiples: Vec<Multiple>,
}

impl Report for FloorReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        line(&mut text, "Machine", &machine(&self.machine));
        let effort = self.floor.effort;
        let what = format!(
            "{} operations each, one at a time; {} recipients, {} B",
            effort.operations, effort.recipients, effort.body_bytes
        );
        line(&mut text, "Measured", &what);
        let mut table =
            style.table(presets::NOTHING, &["at best, in ms", "p50", "p90", "p99", "p99.9", "max"]);
        let rows = [
            ("PostgreSQL: one row committed", &self.floor.commit),
            ("Redis: publish until received", &self.floor.redis),
            ("WebSocket: until written to the last recipient", &self.floor.socket),
            ("WebSocket: until the last recipient has it", &self.floor.fan_out),
        ];
        for (name, summary) in rows {
            let mut cells = vec![Cell::new(name)];
            cells.extend(figures(summary));
            table.add_row(cells);
        }
        let _ = writeln!(text, "\n{table}");
        text
    }
}

/// Each hop as a multiple of its floor.
pub(super) fn multiples(above: &AboveFloor, style: Style) -> Table {
    let header = ["hop", "floor", "p50", "at best", "times", "p99", "at best", "times"];
    let mut table = style.table(presets::NOTHING, &header);
    for one in &above.multiples {
        let ms = |ms: f64| right(&milliseconds(ms));
        let times = |times: f64| right(&format!("{times:.1} ×"));
        table.add_row([
            Cell::new(one.hop.as_str()),
            Cell::new(one.floor),
            ms(one.p50_ms),
            ms(one.floor_p50_ms),
            times(one.p50_times),
            ms(one.p99_ms),
            ms(one.floor_p99_ms),
            times(one.p99_times),
        ]);
    }
    table
}
