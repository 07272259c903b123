//! What the load generator shows of a run while it goes on, in the `OpenMetrics` format.

mod http;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use hopline::hop::{BOUNDS_SECONDS, Hop};
use opentelemetry::trace::TraceId;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter, exemplar::HistogramWithExemplars, family::Family, gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use crate::{clock::Clock, plan::Plan, spans::SpanCounters};
pub(crate) use http::{Serving, serve};

/// The hops that clients can measure, with what the servers tell them.
const HOPS: [Hop; 7] =
    [Hop::Accept, Hop::Persist, Hop::Outbox, Hop::Broadcast, Hop::Receive, Hop::Send, Hop::Total];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HopLabel {
    hop: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabel {
    role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabel {
    trace_id: String,
}

type Hops = Family<HopLabel, HistogramWithExemplars<TraceLabel>, fn() -> HistogramWithExemplars<TraceLabel>>;

/// Every metric. A run's tasks write them; a scrape reads them.
pub(crate) struct Metrics {
    registry: Registry,
    /// In the order of [`HOPS`].
    hops: Vec<HistogramWithExemplars<TraceLabel>>,
    planned: Counter,
    pub(crate) sent: Counter,
    acknowledged: Counter,
    pub(crate) delivered: Counter,
    pub(crate) refused: Counter,
    ack: Histogram,
    send_lag: Histogram,
    pub(crate) publishers: Gauge,
    pub(crate) subscribers: Gauge,
    /// Ended, exported, failed, dropped.
    spans: [Counter; 4],
    run: OnceLock<Running>,
}

/// What is read when someone asks, rather than written when it changes.
struct Running {
    plan: Arc<Plan>,
    clock: Clock,
    spans: Option<SpanCounters>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let hops = Hops::new_with_constructor(|| HistogramWithExemplars::new(BOUNDS_SECONDS.into_iter()));
        registry.register_with_unit(
            "hopline_loadtest_hop_duration",
            "Time that messages spend in a hop, as clients measured it or were told by servers",
            Unit::Seconds,
            hops.clone(),
        );
        let ack = Histogram::new(BOUNDS_SECONDS);
        registry.register_with_unit(
            "hopline_loadtest_ack_duration",
            "From the intended time until the publisher has its acknowledgement",
            Unit::Seconds,
            ack.clone(),
        );
        let send_lag = Histogram::new(BOUNDS_SECONDS);
        registry.register_with_unit(
            "hopline_loadtest_send_lag",
            "How late frames left against the plan",
            Unit::Seconds,
            send_lag.clone(),
        );
        let messages = Family::<OutcomeLabel, Counter>::default();
        registry.register(
            "hopline_loadtest_messages",
            "Messages by what became of them; delivered counts each recipient",
            messages.clone(),
        );
        let spans = Family::<OutcomeLabel, Counter>::default();
        registry.register(
            "hopline_loadtest_spans",
            "The generator's spans by what became of them",
            spans.clone(),
        );
        let clients = Family::<RoleLabel, Gauge>::default();
        registry.register("hopline_loadtest_clients", "Connected clients", clients.clone());
        let outcome = |family: &Family<OutcomeLabel, Counter>, outcome| {
            family.get_or_create_owned(&OutcomeLabel { outcome })
        };
        let role = |role| clients.get_or_create_owned(&RoleLabel { role });
        Self {
            hops: HOPS.iter().map(|hop| hops.get_or_create_owned(&HopLabel { hop: hop.as_str() })).collect(),
            planned: outcome(&messages, "planned"),
            sent: outcome(&messages, "sent"),
            acknowledged: outcome(&messages, "acknowledged"),
            delivered: outcome(&messages, "delivered"),
            refused: outcome(&messages, "refused"),
            ack,
            send_lag,
            publishers: role("publisher"),
            subscribers: role("subscriber"),
            spans: ["ended", "exported", "failed", "dropped"].map(|it| outcome(&spans, it)),
            run: OnceLock::new(),
            registry,
        }
    }

    /// A run begins.
    pub(crate) fn begin(&self, plan: Arc<Plan>, clock: Clock, spans: Option<SpanCounters>) {
        let _ = self.run.set(Running { plan, clock, spans });
    }

    /// A message has spent so long in a hop; where it is traced, the trace shows an example.
    pub(crate) fn hop(&self, hop: Hop, us: u32, trace: Option<TraceId>) {
        let Some(place) = HOPS.iter().position(|it| *it == hop) else {
            return;
        };
        let label = trace.map(|id| TraceLabel { trace_id: id.to_string() });
        let now = label.as_ref().map(|_| SystemTime::now());
        self.hops[place].observe(seconds(us), label, now);
    }

    /// A message was acknowledged so long after it should have left.
    pub(crate) fn acknowledged_after(&self, us: u32) {
        self.acknowledged.inc();
        self.ack.observe(seconds(us));
    }

    /// A message has left so late.
    pub(crate) fn sent_late(&self, us: u32) {
        self.sent.inc();
        self.send_lag.observe(seconds(us));
    }

    /// All metrics as text.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        if let Some(run) = self.run.get() {
            raise(&self.planned, run.plan.due(run.clock.now_us()).into());
            let counts = run.spans.as_ref().map(SpanCounters::read).unwrap_or_default();
            let counts = [counts.ended, counts.exported, counts.failed, counts.dropped];
            self.spans.iter().zip(counts).for_each(|(counter, count)| raise(counter, count));
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn seconds(us: u32) -> f64 {
    f64::from(us) / 1e6
}

fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests;
