//! The reports of `views` and `calibrate`.

use std::fmt::Write;

use comfy_table::{Cell, Color, presets};
use serde::Serialize;

use super::{
    Conclusion, Report, Style,
    terminal::{ending, name, right},
};
use crate::{
    machine::Machine,
    plan::Workload,
    views::{Agreement, Calibration, Figures, OVERLAP, Row, TOLERANCE_MS},
};

/// The report of `views`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ViewsReport {
    pub(crate) result: Conclusion,
    pub(crate) workload: Workload,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    pub(crate) invalid: Vec<String>,
}

/// The report of `calibrate`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CalibrationReport {
    pub(crate) result: Conclusion,
    pub(crate) delay_ms: u64,
    pub(crate) workload: Workload,
    pub(crate) machine: Machine,
    pub(crate) calibrations: Vec<Calibration>,
    pub(crate) invalid: Vec<String>,
}

impl Report for ViewsReport {
    fn text(&self, style: Style) -> String {
        let header =
            ["hop", "count", "p50 clients", "Prometheus", "spans", "p99 clients", "Prometheus", "spans", ""];
        let mut table = style.table(presets::NOTHING, &header);
        for row in &self.rows {
            let views = [row.clients, row.prometheus, row.spans];
            let count = views[1].map_or(0, |figures| figures.count);
            let mut cells = vec![Cell::new(name(row.key)), right(&count.to_string())];
            cells.extend(views.map(|view| figure(view, |figures| figures.p50_ms)));
            cells.extend(views.map(|view| figure(view, |figures| figures.p99_ms)));
            cells.push(match &row.agreement {
                Agreement::Agree => style.coloured("agree", Color::Green),
                Agreement::Differ(how) => style.coloured(&format!("DIFFER: {how}"), Color::Red),
            });
            table.add_row(cells);
        }
        let mut text = "Three views of one run, in milliseconds. They agree where the clients' and the spans' \
            figures lie in the bucket\nthat Prometheus names. No client can tell of publish and send: a message leaves \
            before they end.\n\n"
            .to_owned();
        let _ = writeln!(text, "{table}\n");
        ending(&mut text, self.result, &self.invalid);
        text
    }
}

fn figure(view: Option<Figures>, figure: impl Fn(Figures) -> f64) -> Cell {
    right(&view.map_or("–".into(), |figures| format!("{:.3}", figure(figures))))
}

impl Report for CalibrationReport {
    fn text(&self, style: Style) -> String {
        let mut text = format!(
            "Every message was held for {} ms in one hop after the other. By how much each hop's mean moved, in \
             milliseconds:\nclients / Prometheus / spans. Expected: {} in that hop and in total, 0 elsewhere, each \
             ± {TOLERANCE_MS}. A delay in {} moves {}, too: they overlap.\n\n",
            self.delay_ms,
            self.delay_ms,
            OVERLAP.0.as_str(),
            OVERLAP.1.as_str(),
        );
        let mut header = vec!["hop".to_owned()];
        header.extend(self.calibrations.iter().map(|each| format!("{} delayed", each.delayed.as_str())));
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut table = style.table(presets::NOTHING, &header);
        let keys = self.calibrations.first().map(|each| each.moves.as_slice()).unwrap_or_default();
        for (place, key) in keys.iter().map(|each| each.key).enumerate() {
            let mut cells = vec![Cell::new(name(key))];
            for calibration in &self.calibrations {
                let moved = &calibration.moves[place];
                let views = [moved.clients_ms, moved.prometheus_ms, moved.spans_ms];
                let shown = views.map(|ms| ms.map_or("–".into(), |ms| format!("{ms:+.1}"))).join(" / ");
                let is_moved = moved.expected_ms > 0.0;
                cells.push(match (moved.holds(), is_moved) {
                    (true, true) => style.coloured(&shown, Color::Green),
                    (true, false) => Cell::new(shown),
                    (false, _) => style.coloured(&format!("WRONG {shown}"), Color::Red),
                });
            }
            table.add_row(cells);
        }
        let _ = writeln!(text, "{table}\n");
        ending(&mut text, self.result, &self.invalid);
        text
    }
}
