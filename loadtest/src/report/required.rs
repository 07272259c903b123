//! The table of requirements.

use comfy_table::{Cell, Color, Table, presets};

use super::{
    Style,
    terminal::{milliseconds, right},
};
use crate::{require::Required, verdict::Verdict};

/// Each requirement as it was given, what was measured, and whether it holds.
pub(super) fn required(all: &[Required], style: Style) -> Table {
    let header = ["required", "measured", "headroom", "verdict"];
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY, &header);
    for required in all {
        let measured = required.measured.map(|value| match required.unit {
            "ms" => format!("{} ms", milliseconds(value)),
            "" => value.to_string(),
            unit => format!("{value:.1} {unit}"),
        });
        let headroom = required.headroom_percent.map(|percent| format!("{percent:.0} %"));
        let colour = match required.verdict {
            Verdict::Holds => Color::Green,
            Verdict::DoesNotHold => Color::Red,
            Verdict::NotMeasured => Color::Yellow,
        };
        let verdict = match &required.why {
            Some(why) => format!("{}: {why}", required.verdict.as_str()),
            None => required.verdict.as_str().to_owned(),
        };
        table.add_row(vec![
            Cell::new(&required.requirement),
            right(&measured.unwrap_or_default()),
            right(&headroom.unwrap_or_default()),
            style.coloured(&verdict, colour),
        ]);
    }
    table
}
