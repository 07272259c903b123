//! The report of `capacity`.

use std::fmt::Write;

use comfy_table::{Cell, Color, presets};
use serde::Serialize;

use super::{
    Conclusion, Report, Style,
    terminal::{ending, layout, line, machine, milliseconds, name, right},
};
use crate::{
    capacity::{Limit, Stage},
    machine::Machine,
    plan::Layout,
};

/// The report of `capacity`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CapacityReport {
    pub(crate) result: Conclusion,
    /// The highest rate that was confirmed, in messages a second; none if none was.
    pub(crate) capacity_per_s: Option<f64>,
    /// What ran out first, at the lowest rate that didn't hold.
    pub(crate) first_out: Option<String>,
    pub(crate) at_least_per_s: Option<f64>,
    pub(crate) target: String,
    pub(crate) machine: Machine,
    pub(crate) layout: Layout,
    pub(crate) limits: Vec<Limit>,
    /// In the order in which they ran.
    pub(crate) stages: Vec<Stage>,
}

impl Report for CapacityReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        line(&mut text, "Workload", &layout(&self.layout));
        line(&mut text, "Target", &self.target);
        line(&mut text, "Machine", &machine(&self.machine));
        for limit in &self.limits {
            let (key, latency) = (name(limit.latency.key()), limit.latency);
            let limit = format!("{}: {key}, p{} < {} ms", limit.name, latency.percentile, latency.limit_ms);
            line(&mut text, "Limit", &limit);
        }
        let header = [
            "messages/s",
            "for",
            "total p50",
            "p99",
            "p99.9",
            "busy",
            "servers",
            "PostgreSQL",
            "broker",
            "generator",
            "",
        ];
        let mut table = style.table(presets::NOTHING, &header);
        let mut stages: Vec<&Stage> = self.stages.iter().collect();
        stages.sort_by(|one, other| one.rate_per_s.total_cmp(&other.rate_per_s));
        for stage in stages {
            table.add_row(row(stage, style));
        }
        let _ = writeln!(text, "\nLatencies in ms, processor time in percent of one core.\n{table}\n");
        let capacity = self.capacity_per_s.map(|rate| format!("{rate:.0} messages/s, confirmed"));
        line(&mut text, "Capacity", &capacity.unwrap_or_else(|| "no rate was confirmed".to_owned()));
        if let Some(first_out) = &self.first_out {
            line(&mut text, "Ran out", first_out);
        }
        if let Some(rate) = self.at_least_per_s {
            line(&mut text, "Asked for", &format!("{rate:.0} messages/s"));
        }
        ending(&mut text, self.result, &[]);
        text
    }
}

fn row(stage: &Stage, style: Style) -> Vec<Cell> {
    let (cpu, total) = (&stage.resources.cpu, &stage.total);
    let percent = |share: Option<f64>| share.map_or("–".into(), |share| format!("{:.0} %", share * 100.0));
    let used = |seconds: Option<f64>| right(&percent(seconds.map(|seconds| seconds / cpu.window_s)));
    let colour = match (stage.invalid.is_empty(), stage.exceeded.is_empty()) {
        (true, true) => Color::Green,
        (true, false) => Color::Red,
        (false, _) => Color::Yellow,
    };
    vec![
        right(&format!("{:.0}", stage.rate_per_s)),
        right(&format!("{} s", stage.seconds)),
        right(&milliseconds(total.p50_ms)),
        right(&milliseconds(total.p99_ms)),
        right(&milliseconds(total.p99_9_ms)),
        right(&percent(stage.resources.machine_busy)),
        used(cpu.servers_s),
        used(cpu.postgres_s),
        used(cpu.broker_s),
        used(Some(cpu.generator_s)),
        style.coloured(&stage.verdict(), colour),
    ]
}
