//! The report of `sweep`.

use std::fmt::Write;

use comfy_table::{Cell, presets};
use serde::Serialize;

use super::{
    Conclusion, Report, Style,
    terminal::{ending, layout, line, machine, milliseconds, right},
};
use crate::{
    machine::Machine,
    plan::Workload,
    sweep::{Cost, Parameter},
};

/// The report of `sweep`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SweepReport {
    pub(crate) result: Conclusion,
    pub(crate) parameter: Parameter,
    /// That of the first step.
    pub(crate) workload: Workload,
    /// How many there are, unless they are what grows.
    pub(crate) servers: u16,
    pub(crate) machine: Machine,
    pub(crate) costs: Vec<Cost>,
}

impl Report for SweepReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let workload = &self.workload;
        let first = format!("{} messages/s; {}", workload.rate_per_s, layout(&workload.layout));
        line(&mut text, "First step", &first);
        line(&mut text, "Machine", &machine(&self.machine));
        let header = [
            self.parameter.as_str(),
            "total p50, ms",
            "p99",
            "broadcast p50, ms",
            "p99",
            "deliveries/s",
            "CPU a delivery, µs",
            "a message, µs",
            "to broker, B a message",
            "from broker",
            "",
        ];
        let mut table = style.table(presets::NOTHING, &header);
        for cost in &self.costs {
            table.add_row(row(cost));
        }
        let _ = writeln!(text, "\n{table}");
        let invalid = |cost: &Cost| {
            let why = cost.invalid.iter().map(|why| format!("{}: {why}", cost.value));
            why.collect::<Vec<_>>()
        };
        let invalid: Vec<String> = self.costs.iter().flat_map(invalid).collect();
        ending(&mut text, self.result, &invalid);
        text
    }
}

fn row(cost: &Cost) -> Vec<Cell> {
    let ms = |ms: f64| right(&milliseconds(ms));
    let whole = |value: f64| right(&format!("{value:.0}"));
    let us = |us: Option<f64>| right(&us.map_or("–".into(), |us| format!("{us:.1}")));
    vec![
        right(&cost.value.to_string()),
        ms(cost.total.p50_ms),
        ms(cost.total.p99_ms),
        ms(cost.broadcast.p50_ms),
        ms(cost.broadcast.p99_ms),
        whole(cost.delivered_per_s),
        us(cost.servers_us_per_delivery),
        us(cost.servers_us_per_message),
        whole(cost.broker_out_bytes_per_message),
        whole(cost.broker_in_bytes_per_message),
        Cell::new(if cost.invalid.is_empty() { "" } else { "INVALID" }),
    ]
}
