//! The slowest traces: servers as lanes, spans as bars.

use maud::{Markup, html};

use super::plot::{Scale, px};
use crate::{
    report::{
        terminal::milliseconds,
        waterfall::{NS_PER_MS, lanes, legend},
    },
    traces::{Span, Trace},
};

const WIDTH: f64 = 1160.0;
/// Room for the lane and the name of the span.
const LEFT: f64 = 170.0;
const RIGHT: f64 = 76.0;
const ROW: f64 = 22.0;
const TOP: f64 = 22.0;

pub(super) fn chart(trace: &Trace) -> Markup {
    // The first row of a lane has its name.
    let named = |(name, spans): (&'_ str, Vec<_>)| {
        let name = name.to_owned();
        spans.into_iter().enumerate().map(move |(place, span)| ((place == 0).then(|| name.clone()), span))
    };
    let rows: Vec<(Option<String>, &Span)> = lanes(trace).into_iter().flat_map(named).collect();
    let top = |row: usize| TOP + row as f64 * ROW;
    let bottom = top(rows.len());
    let length_ms = (trace.end_ns() - trace.start_ns()) as f64 / NS_PER_MS;
    let scale = Scale::linear(0.0, length_ms);
    let x = |ms: f64| LEFT + ms / length_ms.max(f64::MIN_POSITIVE) * (WIDTH - LEFT - RIGHT);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 6.0)) role="img"
            aria-label=(format!("Waterfall of the trace {}", trace.id())) {
            g.grid {
                @for (ms, text) in scale.ticks() {
                    line x1=(px(x(ms))) x2=(px(x(ms))) y1=(px(TOP - 4.0)) y2=(px(bottom)) {}
                    text.tick.middle x=(px(x(ms))) y="12" { (text) " ms" }
                }
            }
            @for (row, (lane, span)) in rows.iter().enumerate() {
                @if let Some(name) = lane {
                    line.lane x1="0" x2=(px(WIDTH)) y1=(px(top(row))) y2=(px(top(row))) {}
                    text.lane x="0" y=(px(top(row) + 15.0)) { (name) }
                }
                (bar(trace, span, top(row), x))
            }
        }
        p.sum { (legend(trace).trim()) }
    }
}

fn bar(trace: &Trace, span: &Span, top: f64, x: impl Fn(f64) -> f64) -> Markup {
    let from_ms = span.start_ns.saturating_sub(trace.start_ns()) as f64 / NS_PER_MS;
    let for_ms = span.duration_ns() as f64 / NS_PER_MS;
    let node = span.attribute("hopline.node").map(|node| format!(" ({node})")).unwrap_or_default();
    let width = (x(from_ms + for_ms) - x(from_ms)).max(2.0);
    html! {
        g class=(format!("hue-{}", span.name)) {
            text.span x="70" y=(px(top + 15.0)) { (span.name) (node) }
            rect.mark.part rx="2" x=(px(x(from_ms))) y=(px(top + 4.0)) width=(px(width)) height=(px(ROW - 8.0)) {
                title { (span.name) (node) ": from " (milliseconds(from_ms)) " ms, for " (milliseconds(for_ms)) " ms" }
            }
            text.tick x=(px(x(from_ms) + width + 6.0)) y=(px(top + 15.0)) { (milliseconds(for_ms)) }
        }
    }
}
