//! What only traces tell: `publish` and `send`, which end after the message has left, and what comes after `send`.

use hopline::hop::Hop;

use super::{Measure, Series, gather::Recipients};
use crate::{
    run::Outcome,
    traces::{Span, Store, Value},
};

/// The series of the traced messages that were due within the measured window.
pub(crate) fn traced(store: &Store, outcome: &Outcome) -> Vec<Series> {
    let Some(traced) = &outcome.traced else {
        return Vec::new();
    };
    let mut publish = Series::new(Measure::Hop(Hop::Publish), None, None);
    let mut drain = Series::new(Measure::Drain, None, None);
    let mut send = Recipients::new(Measure::Hop(Hop::Send));
    for (index, record) in outcome.evidence.records.iter() {
        if !traced.sampling.is_sampled(index) || !outcome.window_us.contains(&record.intended_us) {
            continue;
        }
        let spans: Vec<&Span> = store.spans_of(traced.sampling.trace_id(index)).collect();
        let named = |name: &'static str| spans.iter().filter(move |span| *span.name == *name);
        named(Hop::Publish.as_str()).for_each(|span| publish.record_difference(micros(span.duration_ns())));
        named(Hop::Send.as_str()).for_each(|span| send.record(&mut figures(span)));
        let root = spans.iter().find(|span| span.is_root());
        let last = named(Hop::Send.as_str()).max_by_key(|span| span.end_ns);
        if let (Some(root), Some(last)) = (root, last) {
            drain.record_difference(micros(root.end_ns.saturating_sub(last.end_ns)));
        }
    }
    let mut series = vec![publish, drain];
    series.extend(send.into_series());
    series
}

/// What a `send` says of its recipients, in microseconds.
fn figures(send: &Span) -> Vec<i64> {
    let figure = |key| send.attribute(key).and_then(Value::as_double);
    let keys = ["hopline.first_ms", "hopline.median_ms", "hopline.last_ms"];
    #[expect(clippy::cast_possible_truncation, reason = "a duration below an hour")]
    let micros = |ms: f64| (ms * 1_000.0).round() as i64;
    keys.into_iter().filter_map(figure).map(micros).collect()
}

fn micros(ns: u64) -> i64 {
    i64::try_from(ns / 1_000).unwrap_or(i64::MAX)
}
