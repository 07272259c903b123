//! Every metric of the server, declared once.

use std::sync::LazyLock;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{
    exemplars::exemplars,
    labels::{
        Arrival, BrokerLoss, CheckTrigger, Direction, DropReason, GapCause, Label, PersistRetry, PublishOutcome,
        SpanOutcome,
    },
    trace::SpanContext,
};
use crate::{
    hop::{Hop, Origin, Recipient},
    protocol::{CloseCode, ErrorCode},
};

/// Bounds of the duration histograms: the E12 series of preferred numbers, whose neighbours lie at most
/// 1.25× apart, from 10 µs to 10 s, and 500 ms, because a budget stands there.
pub(super) fn duration_bounds_seconds() -> Vec<f64> {
    const E12: [f64; 12] = [1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2];
    // Divided, not multiplied: 5.6 / 1e5 prints as 0.000056, 5.6 * 1e-5 does not.
    let decades = [1e5, 1e4, 1e3, 1e2, 1e1, 1e0];
    let mut bounds: Vec<f64> =
        decades.iter().flat_map(|decade| E12.map(|number| number / decade)).chain([0.5, 10.0]).collect();
    bounds.sort_by(f64::total_cmp);
    bounds
}

const BATCH_BOUNDS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const LIFETIME_BOUNDS_SECONDS: [f64; 7] = [1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0];

const HOP_DURATION: &str = "hopline_hop_duration_seconds";
const COMMIT_DURATION: &str = "hopline_persist_commit_duration_seconds";
const BATCH_MESSAGES: &str = "hopline_persist_batch_messages";
const CONNECTION_LIFETIME: &str = "hopline_connection_lifetime_seconds";

/// A counter for each value of a label.
pub struct Counters<L>(Vec<Counter>, std::marker::PhantomData<fn(L)>);

impl<L: Label> Counters<L> {
    fn new(name: &'static str, label: &'static str, help: &'static str) -> Self {
        metrics::describe_counter!(name, Unit::Count, help);
        let counter = |value: &L| metrics::counter!(name, label => value.label());
        Self(L::ALL.iter().map(counter).collect(), std::marker::PhantomData)
    }

    /// The counter of one value.
    pub fn of(&self, value: L) -> &Counter {
        &self.0[value.index()]
    }
}

/// Handles of all metrics. A field's documentation is the metric's help text.
#[expect(missing_docs, reason = "the help text in `Metrics::new` says what each one is")]
pub struct Metrics {
    hops: Vec<(Hop, Histogram)>,
    broadcast: [Histogram; 2],
    send: [Histogram; 3],
    commit: Histogram,
    pub batch_messages: Histogram,
    pub persist_queue: Gauge,
    pub persist_connected: Gauge,
    pub publish_queue: Gauge,
    pub receive_queue: Gauge,
    pub persist_retries: Counters<PersistRetry>,
    pub publishes: Counters<PublishOutcome>,
    pub broker_connected: Gauge,
    pub broker_losses: Counters<BrokerLoss>,
    pub broker_bytes: Counters<Direction>,
    pub arrivals: Counters<Arrival>,
    pub dropped: Counters<DropReason>,
    pub gaps: Counters<GapCause>,
    pub healed: Counter,
    pub skipped: Counter,
    pub heal_failures: Counter,
    pub position_checks: Counters<CheckTrigger>,
    pub connections: Gauge,
    pub connections_opened: Counter,
    pub connections_refused: Counter,
    pub connections_closed: Counters<CloseCode>,
    pub connection_lifetime: Histogram,
    pub subscriptions: Gauge,
    pub deliveries: Counter,
    pub errors: Counters<ErrorCode>,
    pub spans: Counters<SpanOutcome>,
}

fn counter(name: &'static str, help: &'static str) -> Counter {
    metrics::describe_counter!(name, Unit::Count, help);
    metrics::counter!(name)
}

fn gauge(name: &'static str, help: &'static str) -> Gauge {
    metrics::describe_gauge!(name, Unit::Count, help);
    metrics::gauge!(name)
}

fn describe_histograms() {
    metrics::describe_histogram!(
        HOP_DURATION,
        Unit::Seconds,
        "Time that messages spend in a hop; broadcast by origin, send by recipient."
    );
    metrics::describe_histogram!(
        COMMIT_DURATION,
        Unit::Seconds,
        "Round trip that commits a batch: persist without its waiting."
    );
    metrics::describe_histogram!(BATCH_MESSAGES, Unit::Count, "Messages committed together.");
    metrics::describe_histogram!(CONNECTION_LIFETIME, Unit::Seconds, "How long WebSocket connections lasted.");
}

impl Metrics {
    fn new() -> Self {
        describe_histograms();
        let plain = [Hop::Accept, Hop::Persist, Hop::Publish, Hop::Receive];
        Self {
            hops: plain.map(|hop| (hop, metrics::histogram!(HOP_DURATION, "hop" => hop.as_str()))).into(),
            broadcast: [Origin::Own, Origin::Peer].map(|origin| {
                metrics::histogram!(HOP_DURATION, "hop" => Hop::Broadcast.as_str(), "origin" => origin.as_str())
            }),
            send: Recipient::ALL.map(|recipient| {
                metrics::histogram!(HOP_DURATION, "hop" => Hop::Send.as_str(), "recipient" => recipient.as_str())
            }),
            commit: metrics::histogram!(COMMIT_DURATION),
            batch_messages: metrics::histogram!(BATCH_MESSAGES),
            persist_queue: gauge("hopline_persist_queue_messages", "Messages that wait for a commit."),
            persist_connected: gauge(
                "hopline_persist_connected",
                "Writers that have a connection to PostgreSQL.",
            ),
            publish_queue: gauge(
                "hopline_publish_queue_messages",
                "Committed messages that the broker has not acknowledged yet.",
            ),
            receive_queue: gauge(
                "hopline_receive_queue_messages",
                "Messages from the broker that wait for receive.",
            ),
            persist_retries: Counters::new(
                "hopline_persist_retries_total",
                "reason",
                "Batches that were sent to PostgreSQL again.",
            ),
            publishes: Counters::new("hopline_publishes_total", "outcome", "Publishes by what became of them."),
            broker_connected: gauge("hopline_broker_connected", "Whether the broker connection is up."),
            broker_losses: Counters::new("hopline_broker_losses_total", "reason", "Broker connections given up."),
            broker_bytes: Counters::new(
                "hopline_broker_bytes_total",
                "direction",
                "Bytes of the envelopes that went to the broker and came from it.",
            ),
            arrivals: Counters::new(
                "hopline_arrivals_total",
                "outcome",
                "Messages from the broker by what became of them.",
            ),
            dropped: Counters::new("hopline_dropped_total", "reason", "Messages dropped; all are recovered."),
            gaps: Counters::new("hopline_gaps_total", "cause", "Gaps that had to be healed from PostgreSQL."),
            healed: counter("hopline_healed_messages_total", "Messages read from PostgreSQL to close gaps."),
            skipped: counter("hopline_skipped_numbers_total", "Sequence numbers that no stored message has."),
            heal_failures: counter("hopline_heal_failures_total", "Reads for healing that failed; they are repeated."),
            position_checks: Counters::new(
                "hopline_position_checks_total",
                "trigger",
                "Comparisons of positions with the channels' counters.",
            ),
            connections: gauge("hopline_connections", "Open WebSocket connections."),
            connections_opened: counter("hopline_connections_opened_total", "WebSocket connections opened."),
            connections_refused: counter(
                "hopline_connections_refused_total",
                "WebSocket connections refused because the limit was reached.",
            ),
            connections_closed: Counters::new(
                "hopline_connections_closed_total",
                "reason",
                "WebSocket connections closed by the server.",
            ),
            connection_lifetime: metrics::histogram!(CONNECTION_LIFETIME),
            subscriptions: gauge("hopline_subscriptions", "Subscriptions of connected clients."),
            deliveries: counter("hopline_deliveries_total", "Messages handed to clients' queues."),
            errors: Counters::new("hopline_errors_total", "code", "Requests refused, by error code."),
            spans: Counters::new(
                "hopline_spans_total",
                "outcome",
                "Spans by what became of them; what ended and has no other outcome is waiting.",
            ),
        }
    }

    /// Records that a message spent `duration_us` microseconds in a hop without further labels.
    ///
    /// `broadcast` and `send` have functions of their own; `total` is the load generator's to measure.
    pub fn hop(&self, hop: Hop, duration_us: u64) {
        let known = self.hops.iter().find(|(known, _)| *known == hop);
        known.expect("a hop without labels").1.record(seconds(duration_us));
    }

    /// Records a broadcast that took `duration_us` microseconds, with its trace if it is sampled. A healed
    /// message has none.
    pub fn broadcast(&self, origin: Origin, duration_us: u64, trace: Option<&SpanContext>) {
        if origin != Origin::Healed {
            let is_own = origin == Origin::Own;
            self.broadcast[usize::from(!is_own)].record(seconds(duration_us));
            exemplars().broadcast(is_own, seconds(duration_us), trace);
        }
    }

    /// Records that a batch was committed in `duration_us` microseconds.
    pub fn commit(&self, duration_us: u64) {
        self.commit.record(seconds(duration_us));
    }

    /// Records that a recipient's socket took the frame after `duration_us` microseconds.
    pub fn send(&self, recipient: Recipient, duration_us: u64) {
        self.send[recipient as usize].record(seconds(duration_us));
    }
}

fn seconds(duration_us: u64) -> f64 {
    duration_us as f64 / 1e6
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The metrics' handles. They record nothing unless [`install`] was called before the first use.
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// Installs the Prometheus recorder. The handle renders it, and its `run_upkeep` must be called every few
/// seconds: histograms grow without it.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let durations = duration_bounds_seconds();
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), &durations)?
        .set_buckets_for_metric(Matcher::Full(BATCH_MESSAGES.into()), &BATCH_BOUNDS)?
        .set_buckets_for_metric(Matcher::Full(CONNECTION_LIFETIME.into()), &LIFETIME_BOUNDS_SECONDS)?
        .install_recorder()?;
    LazyLock::force(&METRICS);
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_bounds_lie_at_most_a_quarter_apart_and_the_budgets_are_among_them() {
        let bounds = duration_bounds_seconds();
        for pair in bounds.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] / pair[0] <= 1.2501, "{pair:?}");
        }
        assert!(bounds[0] <= 50e-6 && *bounds.last().unwrap() >= 10.0);
        assert!(bounds.contains(&0.001) && bounds.contains(&0.5));
    }
}
