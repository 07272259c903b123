//! What `bandwidth` reports.

use std::fmt::Write;

use comfy_table::{Cell, Color, presets};
use serde::Serialize;

use super::{
    Conclusion, Report, Style,
    terminal::{ending, line, machine, right},
};
use crate::{
    bandwidth::{Point, Saving},
    machine::Machine,
};

/// The report of `bandwidth`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BandwidthReport {
    pub(crate) result: Conclusion,
    pub(crate) rate_per_s: f64,
    pub(crate) channels: usize,
    pub(crate) body_bytes: usize,
    pub(crate) machine: Machine,
    pub(crate) points: Vec<Point>,
    pub(crate) invalid: Vec<String>,
}

impl Report for BandwidthReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let workload = format!(
            "{} messages/s of {} B in {} channels, alike; each subscriber of a channel on another server",
            self.rate_per_s, self.body_bytes, self.channels
        );
        line(&mut text, "Workload", &workload);
        line(&mut text, "Machine", &machine(&self.machine));
        let header = [
            "servers",
            "subscribers a channel",
            "one topic, B a message",
            "a topic each",
            "saved",
            "by the model",
            "80 %",
            "partitions",
            "saved",
            "by the model",
            "80 %",
        ];
        let mut table = style.table(presets::NOTHING, &header);
        for point in &self.points {
            let mut row = vec![
                right(&point.servers.to_string()),
                right(&point.subscribers.to_string()),
                right(&format!("{:.0}", point.one_topic_bytes)),
            ];
            row.extend(cells(&point.each_channel, style));
            row.extend(cells(&point.partitions, style));
            table.add_row(row);
        }
        let _ = writeln!(text, "\n{table}\n");
        let _ = writeln!(
            text,
            "Bytes that Redis sent, all of them, and all nodes of the cluster. The model: 1 − the share of servers with a subscriber \
             of the channel, or of its partition."
        );
        ending(&mut text, self.result, &self.invalid);
        text
    }
}

/// Bytes, the share saved, that by the model, and whether the claim holds.
fn cells(saving: &Saving, style: Style) -> [Cell; 4] {
    let claim = if saving.is_as_claimed() { ("holds", Color::Green) } else { ("doesn't hold", Color::Red) };
    let expected = percent(saving.expected);
    let expected = if saving.is_as_expected() {
        right(&expected)
    } else {
        style.coloured(&format!("{expected} MISSED"), Color::Red)
    };
    [
        right(&format!("{:.0}", saving.bytes)),
        right(&percent(saving.saved)),
        expected,
        style.coloured(claim.0, claim.1),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
