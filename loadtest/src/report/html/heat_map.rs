//! How deliveries spread, second by second.

use maud::{Markup, html};

use super::{
    over_time::{seconds, windows},
    plot::{Plot, Scale, px},
    timeline::{Timeline, row_ms},
};
use crate::report::terminal::milliseconds;

/// What is rare still shows.
const FAINTEST: f64 = 0.08;

pub(super) fn chart(timeline: &Timeline) -> Markup {
    let rows = || timeline.columns.iter().flat_map(|column| &column.rows);
    let bounds = rows().flat_map(|(row, _)| [row_ms(*row), row_ms(row + 1)]);
    let plot = Plot { width: 1160.0, height: 270.0, x: seconds(timeline), y: Scale::log_around(bounds) };
    let most = rows().map(|(_, count)| *count).max().unwrap_or_default();
    let marks = html! {
        g.hue-total {
            @for (number, column) in timeline.columns.iter().enumerate() {
                @for (row, count) in &column.rows { (cell(&plot, timeline, number, *row, (*count, most))) }
            }
        }
        (windows(&plot, timeline))
    };
    html! {
        (plot.draw("Deliveries by second and latency", (&plot.x.ticks(), "seconds from the first message"),
            "milliseconds", &marks))
        ul.legend {
            li.hue-total { "1 " span.gradient {} " " (most) " deliveries" }
        }
    }
}

fn cell(plot: &Plot, timeline: &Timeline, number: usize, row: i32, (count, most): (u64, u64)) -> Markup {
    let width = f64::from(timeline.column_s);
    let from_s = number as f64 * width;
    let (left, right) = (plot.x(from_s), plot.x(from_s + width));
    let (low, high) = (plot.y(row_ms(row)), plot.y(row_ms(row + 1)));
    let strength = FAINTEST + (1.0 - FAINTEST) * (count as f64 / most as f64).sqrt();
    html! {
        rect.mark.cell x=(px(left + 0.5)) width=(px(right - left - 1.0)) y=(px(high + 0.2))
            height=(px(low - high - 0.4)) fill-opacity=(format!("{strength:.2}")) {
            title {
                (from_s) " s, " (milliseconds(row_ms(row))) " to " (milliseconds(row_ms(row + 1))) " ms: "
                (count) " deliveries"
            }
        }
    }
}
