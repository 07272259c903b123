//! The third view: what the spans say.

use hopline::hop::{Hop, Recipient};

use super::{Figures, KEYS, View, hop_of};
use crate::{
    latency::Key,
    traces::{Span, Store, Trace, Value},
};

/// Of all traces that were received.
pub(super) fn view(store: &Store) -> View {
    let mut durations_ns: Vec<(Key, Vec<u64>)> = KEYS.iter().map(|key| (*key, Vec::new())).collect();
    for trace in store.trace_ids().filter_map(|id| store.trace(id)) {
        for (key, durations) in &mut durations_ns {
            durations.extend(durations_of(&trace, *key));
        }
    }
    durations_ns.into_iter().filter_map(|(key, durations)| Some((key, summary(durations)?))).collect()
}

fn durations_of(trace: &Trace, key: Key) -> Vec<u64> {
    match hop_of(key) {
        Hop::Broadcast => broadcasts(trace, key),
        Hop::Send => trace.named("send").filter_map(|span| recipient_ns(span, key.recipient?)).collect(),
        Hop::Total => totals(trace),
        // Where no one is subscribed a message is not handed on.
        Hop::Receive => {
            let handed = trace.named("receive").filter(|span| span.attribute("hopline.arrival").is_none());
            handed.map(Span::duration_ns).collect()
        }
        hop => trace.named(hop.as_str()).map(Span::duration_ns).collect(),
    }
}

/// `broadcast` has no span: it lies between two.
fn broadcasts(trace: &Trace, key: Key) -> Vec<u64> {
    let origin = key.origin.map_or("", hopline::hop::Origin::as_str);
    let is_of = |span: &&Span| span.attribute("hopline.origin").and_then(Value::as_text) == Some(origin);
    let lasted = |receive: &Span| {
        let publish = trace.span(receive.parent_id)?;
        Some(receive.start_ns.saturating_sub(publish.start_ns))
    };
    trace.named("receive").filter(is_of).filter_map(lasted).collect()
}

/// Each recipient's, as far as they have a span: one a server and channel.
fn totals(trace: &Trace) -> Vec<u64> {
    let Some(total) = trace.named("total").next() else {
        return Vec::new();
    };
    trace.named("deliver").map(|deliver| deliver.start_ns.saturating_sub(total.start_ns)).collect()
}

fn recipient_ns(send: &Span, recipient: Recipient) -> Option<u64> {
    let attribute = match recipient {
        Recipient::First => "hopline.first_ms",
        Recipient::Median => "hopline.median_ms",
        Recipient::Last => "hopline.last_ms",
    };
    let ms = send.attribute(attribute)?.as_double()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a short duration")]
    Some((ms * 1e6).round() as u64)
}

/// Exact, with the rank that `histogram_quantile` has: the smallest value that enough others don't exceed.
fn summary(mut durations_ns: Vec<u64>) -> Option<Figures> {
    durations_ns.sort_unstable();
    let count = durations_ns.len();
    let ms = |ns: u64| ns as f64 / 1e6;
    let at = |percent: usize| {
        let rank = (count * percent).div_ceil(100).max(1);
        durations_ns.get(rank - 1).copied().map(ms)
    };
    let mean_ms = ms(durations_ns.iter().sum()) / count as f64;
    Some(Figures { count: count as u64, mean_ms, p50_ms: at(50)?, p99_ms: at(99)? })
}
