//! The report of `overload`.

use std::{collections::BTreeMap, fmt::Write};

use comfy_table::{Cell, presets};
use serde::Serialize;

use super::{
    Conclusion, Memory, Report, Style,
    terminal::{audit, cpu, ending, layout, line, machine, milliseconds, right},
};
use crate::{
    audit::Audit,
    cpu::CpuUse,
    machine::Machine,
    overload::{Fate, Limits, Recovery},
    plan::Workload,
};

/// The report of `overload`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OverloadReport {
    pub(crate) result: Conclusion,
    pub(crate) workload: Workload,
    pub(crate) machine: Machine,
    pub(crate) limits: Limits,
    pub(crate) before: Fate,
    pub(crate) during: Fate,
    pub(crate) after: Fate,
    pub(crate) recovery: Recovery,
    pub(crate) memory_bytes: BTreeMap<String, Memory>,
    pub(crate) cpu: CpuUse,
    pub(crate) audit: Audit,
    /// Which limits were exceeded; empty if none was.
    pub(crate) exceeded: Vec<String>,
    pub(crate) invalid: Vec<String>,
}

impl Report for OverloadReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        line(&mut text, "Workload", &layout(&self.workload.layout));
        line(&mut text, "Machine", &machine(&self.machine));
        let capacity = self.limits.capacity_per_s;
        line(
            &mut text,
            "Capacity",
            &format!("{capacity} messages/s during the overload, by a fault in persist"),
        );
        let header = ["", "seconds", "offered/s", "accepted/s", "refused/s", "total p50, ms", "p99", "max"];
        let mut table = style.table(presets::NOTHING, &header);
        for (name, fate) in [("before", &self.before), ("overload", &self.during), ("after", &self.after)] {
            table.add_row(row(name, fate));
        }
        let _ = writeln!(text, "\n{table}\n");
        line(&mut text, "CPU", &format!("of one core: {}", cpu(&self.cpu)));
        line(&mut text, "Memory", &self.memory());
        line(&mut text, "Normal", &self.normal());
        audit(&mut text, &self.audit);
        for exceeded in &self.exceeded {
            line(&mut text, "Exceeded", exceeded);
        }
        ending(&mut text, self.result, &self.invalid);
        text
    }
}

impl OverloadReport {
    fn memory(&self) -> String {
        let of = |(node, memory): (&String, &Memory)| format!("{node} {} MiB", memory.max >> 20);
        let most: Vec<String> = self.memory_bytes.iter().map(of).collect();
        format!("at most {}; the limit is {} MiB", most.join(", "), self.limits.memory_bytes >> 20)
    }

    fn normal(&self) -> String {
        let Recovery { normal_ms, after_s } = self.recovery;
        let when =
            after_s.map_or("not again".to_owned(), |seconds| format!("{seconds} s after the overload"));
        let limit = self.limits.normal_within_s;
        format!("{when} (p99 of total in a second ≤ {}); the limit is {limit} s", milliseconds(normal_ms))
    }
}

fn row(name: &str, fate: &Fate) -> Vec<Cell> {
    let rate = |rate: f64| format!("{rate:.0}");
    let refused: Vec<String> =
        fate.refused_per_s.iter().map(|(code, per_s)| format!("{code} {}", rate(*per_s))).collect();
    let total = [fate.total.p50_ms, fate.total.p99_ms, fate.total.max_ms];
    [Cell::new(name), right(&rate(fate.seconds)), right(&rate(fate.offered_per_s))]
        .into_iter()
        .chain([right(&rate(fate.accepted_per_s)), right(&refused.join(", "))])
        .chain(total.map(|ms| right(&milliseconds(ms))))
        .collect()
}
