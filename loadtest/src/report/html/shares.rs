//! The budget of a message: which share of the total each hop takes.

use maud::{Markup, html};

use super::breakdown::{Breakdown, REST};
use super::plot::px;
use crate::report::terminal::milliseconds;

const WIDTH: f64 = 560.0;
const ROW: f64 = 58.0;
const BAR: f64 = 26.0;
/// About as wide as a letter of a label; a part without room for its label has none.
const LETTER: f64 = 8.0;

pub(super) fn chart(breakdowns: &[Breakdown]) -> Markup {
    let height = ROW * breakdowns.len() as f64 + 4.0;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="Share of the total by hop" {
            @for (number, breakdown) in breakdowns.iter().enumerate() {
                (bar(breakdown, ROW * number as f64))
            }
        }
        ul.legend {
            @for name in names(breakdowns) {
                li class=(format!("hue-{name}")) { span.key.block {} (spoken(name)) }
            }
        }
        (table(breakdowns))
    }
}

fn bar(breakdown: &Breakdown, top: f64) -> Markup {
    let total_ms = breakdown.total_ms().max(f64::MIN_POSITIVE);
    let placed = breakdown.parts.iter().scan(0.0, |end, (name, ms)| {
        let (left, width) = (*end, ms / total_ms * WIDTH);
        *end += width;
        Some((*name, *ms, left, width))
    });
    html! {
        text.row x="0" y=(px(top + 18.0)) { (breakdown.title) }
        text.row.end x=(px(WIDTH)) y=(px(top + 18.0)) { (milliseconds(total_ms)) " ms" }
        @for (name, ms, left, width) in placed {
            g class=(format!("hue-{name}")) {
                rect.mark.part x=(px(left)) y=(px(top + 26.0)) width=(px(width)) height=(px(BAR)) {
                    title { (spoken(name)) ": " (milliseconds(ms)) " ms, " (percent(ms, total_ms)) }
                }
                @if width > (name.len() + 2) as f64 * LETTER {
                    text.within x=(px(left + 7.0)) y=(px(top + 44.0)) { (name) }
                }
            }
        }
    }
}

fn table(breakdowns: &[Breakdown]) -> Markup {
    let ms = |breakdown: &Breakdown, name| {
        let part = breakdown.parts.iter().find(|(it, _)| *it == name);
        part.map_or_else(String::new, |(_, ms)| {
            format!("{} · {}", milliseconds(*ms), percent(*ms, breakdown.total_ms()))
        })
    };
    html! {
        details open {
            summary { "The same as a table" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "in ms, and share" }
                    @for breakdown in breakdowns { th.number scope="col" { (breakdown.title) } }
                } }
                tbody {
                    @for name in names(breakdowns) {
                        tr {
                            th scope="row" { (name.replace('_', " ")) }
                            @for breakdown in breakdowns { td.number { (ms(breakdown, name)) } }
                        }
                    }
                }
            } }
        }
    }
}

/// The parts that occur, in the order of the path.
fn names(breakdowns: &[Breakdown]) -> Vec<&'static str> {
    let mut names = Vec::new();
    let longest = breakdowns.iter().max_by_key(|breakdown| breakdown.parts.len());
    let all = longest.into_iter().chain(breakdowns).flat_map(|breakdown| &breakdown.parts);
    for (name, _) in all.filter(|(name, _)| *name != REST) {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    names.push(REST);
    names
}

/// How a part is called where there is room.
fn spoken(name: &str) -> String {
    if name == REST {
        "rest: network, clients, and what isn't told apart".to_owned()
    } else {
        name.replace('_', " ")
    }
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.0} %", part / whole.max(f64::MIN_POSITIVE) * 100.0)
}
