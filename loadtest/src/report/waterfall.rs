//! A trace as text: who did what when.

use std::{cmp::Reverse, fmt::Write};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use super::{
    Style,
    terminal::{milliseconds, right},
};
use crate::traces::{Path, Span, Trace, Value, lane};

const COLOURS: [Color; 5] = [Color::Cyan, Color::Green, Color::Yellow, Color::Magenta, Color::Blue];
/// What stands beside the bars: lane, name, start and duration with their margins.
const BESIDE_BARS: u16 = 46;
const BAR_CELLS_MIN: u16 = 20;
const NS_PER_MS: f64 = 1_000_000.0;

/// The waterfall of a trace: servers as lanes, then where the time went.
pub(crate) fn waterfall(trace: &Trace, style: Style) -> String {
    let mut text = heading(trace);
    let mut table = style.table(presets::NOTHING, &["", "", "", "from ms", "for ms"]);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let bars = Bars { trace, cells: style.width().saturating_sub(BESIDE_BARS).max(BAR_CELLS_MIN).into() };
    let mut last = None;
    for (number, (name, spans)) in lanes(trace).into_iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        for span in spans {
            let lane = if last == Some(name) { "" } else { name };
            last = Some(name);
            row(&mut table, lane, span, &bars, style, colour);
        }
    }
    let _ = writeln!(text, "{table}");
    text.push_str(&legend(trace));
    text
}

fn heading(trace: &Trace) -> String {
    let mut text = format!("Trace        {}\n", trace.id());
    if let Some(root) = trace.root() {
        let told = |key: &str| root.attribute(key).map(Value::to_string).unwrap_or_default();
        let channel = told("messaging.destination.name");
        let (seq, recipients) = (told("hopline.seq"), told("hopline.recipients"));
        let _ = writeln!(text, "Message      {seq} of {channel}, to {recipients} recipients");
    }
    text
}

fn row(table: &mut Table, lane: &str, span: &Span, bars: &Bars<'_>, style: Style, colour: Color) {
    let error = if span.error.is_some() { " (error)" } else { "" };
    let from_ns = span.start_ns.saturating_sub(bars.trace.start_ns());
    table.add_row([
        Cell::new(lane),
        Cell::new(format!("{}{error}", span.name)),
        style.coloured(&bars.bar(span), colour),
        right(&milliseconds(from_ns as f64 / NS_PER_MS)),
        right(&milliseconds(span.duration_ns() as f64 / NS_PER_MS)),
    ]);
}

/// The spans of each server, and those of the clients around them: what they wanted first, what they got last.
fn lanes(trace: &Trace) -> Vec<(&str, Vec<&Span>)> {
    let mut lanes: Vec<(&str, Vec<&Span>)> = Vec::new();
    let (clients, servers): (Vec<&Span>, Vec<&Span>) =
        trace.spans().iter().partition(|span| span.source.instance.is_empty());
    let (roots, others): (Vec<&Span>, Vec<&Span>) = clients.into_iter().partition(|span| span.is_root());
    lanes.extend(roots.first().map(|root| (lane(root), roots.clone())));
    for span in servers {
        match lanes.iter_mut().find(|(name, _)| *name == lane(span)) {
            Some((_, spans)) => spans.push(span),
            None => lanes.push((lane(span), vec![span])),
        }
    }
    lanes.extend(others.first().map(|first| (lane(first), others.clone())));
    for (_, spans) in &mut lanes {
        spans.sort_by_key(|span| (span.start_ns, Reverse(span.end_ns)));
    }
    lanes
}

struct Bars<'a> {
    trace: &'a Trace,
    cells: usize,
}

impl Bars<'_> {
    /// A line that shows when the span was under way. What takes less than a cell has one.
    fn bar(&self, span: &Span) -> String {
        let (start_ns, end_ns) = (self.trace.start_ns(), self.trace.end_ns());
        let length_ns = (end_ns - start_ns).max(1);
        let cell = |ns: u64| {
            let cells = u128::from(ns - start_ns) * self.cells as u128 / u128::from(length_ns);
            usize::try_from(cells).unwrap_or(usize::MAX)
        };
        let from = cell(span.start_ns).min(self.cells - 1);
        let to = cell(span.end_ns.max(span.start_ns)).clamp(from + 1, self.cells);
        format!("{}{}{}", " ".repeat(from), "█".repeat(to - from), " ".repeat(self.cells - to))
    }
}

fn legend(trace: &Trace) -> String {
    let Some(path) = Path::of(trace) else {
        return "The trace lacks spans, so that it doesn't show where the time went.\n".to_owned();
    };
    let ms = |ns: u64| milliseconds(ns as f64 / NS_PER_MS);
    let hops: Vec<String> =
        path.hops.iter().map(|(hop, ns)| format!("{} {}", hop.as_str(), ms(*ns))).collect();
    format!(
        "total {} ms = {} + unexplained {}, on the way to the last recipient of server {}\n",
        ms(path.total_ns),
        hops.join(" + "),
        milliseconds(path.unexplained_ns() as f64 / NS_PER_MS),
        path.node,
    )
}
