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
pub(super) const NS_PER_MS: f64 = 1_000_000.0;

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
    let told = |key: &str| trace.root()?.attribute(key).map(Value::to_string);
    if let Some(channel) = told("messaging.destination.name") {
        let seq = told("hopline.seq").map(|seq| format!(", number {seq}")).unwrap_or_default();
        let to =
            told("hopline.recipients").map(|count| format!(", to {count} recipients")).unwrap_or_default();
        let _ = writeln!(text, "Message      in {channel}{seq}{to}");
    }
    text
}

fn row(table: &mut Table, lane: &str, span: &Span, bars: &Bars<'_>, style: Style, colour: Color) {
    let node = span.attribute("hopline.node").map(|node| format!(" ({node})")).unwrap_or_default();
    let error = if span.error.is_some() { ", failed" } else { "" };
    let from_ns = span.start_ns.saturating_sub(bars.trace.start_ns());
    table.add_row([
        Cell::new(lane),
        Cell::new(format!("{}{node}{error}", span.name)),
        style.coloured(&bars.bar(span), colour),
        right(&milliseconds(from_ns as f64 / NS_PER_MS)),
        right(&milliseconds(span.duration_ns() as f64 / NS_PER_MS)),
    ]);
}

/// The spans of each server, and those of the clients around them: what they wanted first, what they got last.
pub(super) fn lanes(trace: &Trace) -> Vec<(&str, Vec<&Span>)> {
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

pub(super) fn legend(trace: &Trace) -> String {
    let Some(path) = Path::of(trace) else {
        return "The trace lacks spans, so that it doesn't show where the time went.\n".to_owned();
    };
    let ms = |ns: u64| milliseconds(ns as f64 / NS_PER_MS);
    let hops: Vec<String> = path.hops.iter().map(|(hop, ns)| format!("{hop} {}", ms(*ns))).collect();
    format!(
        "total {} ms = {} + unexplained {}, on the way to the last recipient of server {}\n",
        ms(path.total_ns),
        hops.join(" + "),
        milliseconds(path.unexplained_ns() as f64 / NS_PER_MS),
        path.node,
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry::trace::{SpanId, SpanKind, TraceId};

    use super::*;
    use crate::traces::Source;

    fn span(name: &str, node: &str, id: u64, parent: u64, (from_us, to_us): (u64, u64)) -> Span {
        Span {
            trace_id: TraceId::from(7),
            span_id: SpanId::from(id),
            parent_id: SpanId::from(parent),
            source: Arc::new(Source { instance: node.to_owned(), ..Source::default() }),
            name: name.into(),
            kind: SpanKind::Internal,
            start_ns: 1_000_000 + from_us * 1_000,
            end_ns: 1_000_000 + to_us * 1_000,
            attributes: Box::new([]),
            links: Box::new([]),
            error: None,
        }
    }

    /// Published on a, received on a and, last, on b.
    fn trace() -> Trace {
        let mut deliver = span("deliver", "", 9, 8, (990, 1_000));
        deliver.attributes = Box::new([("hopline.node".into(), Value::Text("b".into()))]);
        Trace::of(vec![
            deliver,
            span("send", "b", 8, 7, (800, 900)),
            span("receive", "b", 7, 4, (700, 800)),
            span("send", "a", 6, 5, (550, 600)),
            span("receive", "a", 5, 4, (500, 550)),
            span("publish", "a", 4, 3, (400, 500)),
            span("persist", "a", 3, 2, (200, 400)),
            span("accept", "a", 2, 1, (100, 200)),
            span("total", "", 1, 0, (0, 1_000)),
        ])
        .unwrap()
    }

    #[test]
    fn a_trace_is_drawn_with_servers_as_lanes() {
        let text = waterfall(&trace(), Style { colours: false, width: Some(BESIDE_BARS + BAR_CELLS_MIN) });
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let rows = [
            "from ms  for ms",
            "clients  total        ████████████████████    0.000   1.000",
            "a        accept         ██                    0.100   0.100",
            "persist          ████                0.200   0.200",
            "publish              ██              0.400   0.100",
            "receive                █             0.500   0.050",
            "send                    █            0.550   0.050",
            "b        receive                    ██        0.700   0.100",
            "send                         ██      0.800   0.100",
            "clients  deliver (b)                     █    0.990   0.010",
            "total 1.000 ms = accept 0.100 + persist 0.200 + broadcast 0.300 + receive 0.100 + send 0.100 \
             + unexplained 0.200, on the way to the last recipient of server b",
        ];
        assert_eq!(lines[0], "Trace        00000000000000000000000000000007");
        assert_eq!(lines[1..], rows);
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    fn sum(spans: Vec<Span>) -> String {
        let text = waterfall(&Trace::of(spans).unwrap(), Style { colours: false, width: Some(100) });
        text.lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_healed_message_waited_for_healing_and_had_no_broadcast() {
        let mut spans = trace().spans().to_vec();
        let healed = spans.iter_mut().find(|span| span.span_id == SpanId::from(7)).unwrap();
        healed.parent_id = SpanId::from(2);
        healed.attributes = Box::new([("hopline.origin".into(), Value::Text("healed".into()))]);
        assert_eq!(
            sum(spans),
            "total 1.000 ms = accept 0.100 + persist 0.200 + healing 0.300 + receive 0.100 + send 0.100 \
             + unexplained 0.200, on the way to the last recipient of server b"
        );
    }

    #[test]
    fn of_a_repeated_publish_the_one_that_led_on_counts() {
        let repeated = [
            span("persist", "b", 11, 10, (20, 390)),
            span("accept", "b", 10, 1, (10, 20)),
            span("accept", "c", 12, 1, (110, 900)),
            span("persist", "c", 13, 12, (900, 910)),
        ];
        let spans: Vec<Span> = trace().spans().iter().cloned().chain(repeated).collect();
        assert_eq!(sum(spans), sum(trace().spans().to_vec()));
    }

    #[test]
    fn colours_are_for_terminals() {
        let text = waterfall(&trace(), Style { colours: true, width: Some(100) });
        assert!(text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_trace_that_lacks_spans_is_drawn_without_a_sum() {
        let spans = trace().spans().iter().filter(|span| *span.name != *"receive").cloned().collect();
        let text = waterfall(&Trace::of(spans).unwrap(), Style { colours: false, width: Some(100) });
        assert!(text.contains("lacks spans"), "{text}");
    }
}
