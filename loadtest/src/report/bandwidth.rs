//! What `bandwidth` reports.

use std::fmt::Write;

use comfy_table::{Cell, Color, presets};
use serde::Serialize;

use super::{
    Conclusion, Report, Style,
    terminal::{ending, line, machine, right},
};
use crate::{bandwidth::Point, machine::Machine};

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
            "a topic each, B a message",
            "saved",
            "by the model",
            "80 %",
        ];
        let mut table = style.table(presets::NOTHING, &header);
        for point in &self.points {
            let claim =
                if point.is_as_claimed() { ("holds", Color::Green) } else { ("doesn't hold", Color::Red) };
            table.add_row([
                right(&point.servers.to_string()),
                right(&point.subscribers.to_string()),
                right(&format!("{:.0}", point.one_topic_bytes)),
                right(&format!("{:.0}", point.each_channel_bytes)),
                right(&percent(point.saved())),
                expected(point, style),
                style.coloured(claim.0, claim.1),
            ]);
        }
        let _ = writeln!(text, "\n{table}\n");
        let _ = writeln!(
            text,
            "Bytes that Redis sent, all of them. The model: 1 − the share of servers with a subscriber of the channel."
        );
        ending(&mut text, self.result, &self.invalid);
        text
    }
}

fn expected(point: &Point, style: Style) -> Cell {
    let text = percent(point.expected);
    if point.is_as_expected() { right(&text) } else { style.coloured(&format!("{text} MISSED"), Color::Red) }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
