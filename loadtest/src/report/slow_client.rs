//! The report of `slow-client`.

use comfy_table::{Cell, presets};
use serde::Serialize;
use std::fmt::Write;

use super::{
    Conclusion, Report, Style,
    terminal::{ending, layout, line, machine, milliseconds, right},
};
use crate::{
    machine::Machine,
    plan::Workload,
    slow_client::{Compared, Pair, Stay},
    stats::Median,
};

/// The report of `slow-client`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SlowClientReport {
    pub(crate) result: Conclusion,
    pub(crate) workload: Workload,
    pub(crate) machine: Machine,
    /// Frames that may wait for a client's socket.
    pub(crate) queue: u16,
    /// What the others' p99 may be in relation to a run without a slow client.
    pub(crate) ratio_max: f64,
    /// None if too few pairs were valid.
    pub(crate) compared: Option<Compared>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) invalid: Vec<String>,
}

impl Report for SlowClientReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let workload = &self.workload;
        let load = format!(
            "{} messages/s for {} s a run; {}",
            workload.rate_per_s,
            workload.duration.as_secs(),
            layout(&workload.layout)
        );
        line(&mut text, "Workload", &load);
        line(&mut text, "Machine", &machine(&self.machine));
        let header = ["p99 of total, ms", "without", "with a slow client", "ratio", "closed", "then got"];
        let mut table = style.table(presets::NOTHING, &header);
        for (number, pair) in self.pairs.iter().enumerate() {
            let stay = pair.with.stay.clone().unwrap_or_default();
            table.add_row(vec![
                Cell::new(format!("pair {}", number + 1)),
                right(&milliseconds(pair.without.p99_ms)),
                right(&milliseconds(pair.with.p99_ms)),
                right(&format!("{:.3}", pair.with.p99_ms / pair.without.p99_ms)),
                right(&closed(&stay)),
                right(&got(&stay)),
            ]);
        }
        let _ = writeln!(text, "\n{table}\n");
        if let Some(Compared { without_p99_ms, with_p99_ms, ratio }) = &self.compared {
            line(&mut text, "Without", &format!("{} ms", median(without_p99_ms)));
            line(&mut text, "With", &format!("{} ms", median(with_p99_ms)));
            line(&mut text, "Ratio", &format!("{}; the limit is {}", median(ratio), self.ratio_max));
            line(&mut text, "", "medians, with the interval that holds the true one with 95 % confidence");
        }
        ending(&mut text, self.result, &self.invalid);
        text
    }
}

fn median(median: &Median) -> String {
    format!("{:.3} ({:.3}–{:.3})", median.value, median.low, median.high)
}

fn closed(stay: &Stay) -> String {
    let code = |code: &Option<u16>| code.map_or("no code".to_owned(), |code| code.to_string());
    stay.closed.iter().map(code).collect::<Vec<_>>().join(", ")
}

fn got(stay: &Stay) -> String {
    match (stay.misplaced, stay.missing) {
        (0, 0) => format!("all {}", stay.received),
        (misplaced, missing) => {
            format!("{}, {misplaced} misplaced, {missing} missing", stay.received)
        }
    }
}
