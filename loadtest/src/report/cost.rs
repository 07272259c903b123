//! The report of `cost`.

use std::fmt::Write;

use comfy_table::{Cell, Color, presets};
use serde::Serialize;

use super::{
    Conclusion, Report, Style,
    terminal::{ending, right},
};
use crate::{cost::Compared, machine::Machine, plan::Workload, stats::Median};

/// The report of `cost`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CostReport {
    pub(crate) result: Conclusion,
    pub(crate) workload: Workload,
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) compared: Vec<Compared>,
    pub(crate) invalid: Vec<String>,
}

impl Report for CostReport {
    fn text(&self, style: Style) -> String {
        let mut text = format!(
            "What telemetry costs: medians of {} rounds, with the interval that holds the true one with 95 % \
             confidence.\nProcessor time is that of all servers; in relation to the same round without telemetry, and \
             with metrics only.\nLatencies are in relation to the same round with 100 % traced; a limit is exceeded \
             there if the whole interval is above it.\n\n",
            self.rounds
        );
        let header = [
            "telemetry",
            "CPU a message, µs",
            "to off",
            "limit",
            "to metrics only",
            "saturated, messages/s",
            "total p50, ms",
            "total p99, ms",
            "p50 to 100 %",
            "limit",
            "p99 to 100 %",
        ];
        let mut table = style.table(presets::NOTHING, &header);
        for compared in &self.compared {
            table.add_row([
                Cell::new(compared.setup.as_str()),
                median(compared.servers_us_per_message, 0),
                median(compared.to_off, 3),
                limit(compared.limit, compared.cpu_holds(), style),
                median(compared.to_metrics, 3),
                median(compared.saturated_per_s, 0),
                median(compared.total_p50_ms, 3),
                median(compared.total_p99_ms, 2),
                median(compared.p50_to_all, 3),
                limit(compared.p50_limit, compared.p50_holds(), style),
                median(compared.p99_to_all, 2),
            ]);
        }
        let _ = writeln!(text, "{table}\n");
        ending(&mut text, self.result, &self.invalid);
        text
    }
}

fn limit(limit: Option<f64>, holds: bool, style: Style) -> Cell {
    match (limit, holds) {
        (None, _) => right("–"),
        (Some(limit), true) => style.coloured(&format!("{limit:.2} holds"), Color::Green),
        (Some(limit), false) => style.coloured(&format!("{limit:.2} EXCEEDED"), Color::Red),
    }
}

fn median(median: Median, digits: usize) -> Cell {
    right(&format!("{:.digits$} ({:.digits$}–{:.digits$})", median.value, median.low, median.high))
}
