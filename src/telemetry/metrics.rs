//! Every metric of the server, declared once.

use std::sync::LazyLock;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::labels::{
    Arrival, BrokerLoss, CheckTrigger, DropReason, GapCause, Label, PersistRetry, PublishOutcome,
};
use crate::{
    hop::{BOUNDS_SECONDS, Hop, Origin, Recipient},
    protocol::{CloseCode, ErrorCode},
};

const BATCH_BOUNDS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const HOP_DURATION: &str = "hopline_hop_duration_seconds";
const COMMIT_DURATION: &str = "hopline_persist_commit_duration_seconds";
const BATCH_MESSAGES: &str = "hopline_persist_batch_messages";

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
    pub commit: Histogram,
    pub batch_messages: Histogram,
    pub persist_queue: Gauge,
    pub persist_retries: Counters<PersistRetry>,
    pub publishes: Counters<PublishOutcome>,
    pub broker_connected: Gauge,
    pub broker_losses: Counters<BrokerLoss>,
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
    pub subscriptions: Gauge,
    pub deliveries: Counter,
    pub errors: Counters<ErrorCode>,
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
            persist_retries: Counters::new(
                "hopline_persist_retries_total",
                "reason",
                "Batches that were sent to PostgreSQL again.",
            ),
            publishes: Counters::new("hopline_publishes_total", "outcome", "Publishes by what became of them."),
            broker_connected: gauge("hopline_broker_connected", "Whether the broker connection is up."),
            broker_losses: Counters::new("hopline_broker_losses_total", "reason", "Broker connections given up."),
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
            subscriptions: gauge("hopline_subscriptions", "Subscriptions of connected clients."),
            deliveries: counter("hopline_deliveries_total", "Messages handed to clients' queues."),
            errors: Counters::new("hopline_errors_total", "code", "Requests refused, by error code."),
        }
    }

    /// Records that a message spent `duration_us` microseconds in a hop without further labels.
    ///
    /// `broadcast` and `send` have functions of their own; `total` is the load generator's to measure.
    pub fn hop(&self, hop: Hop, duration_us: u64) {
        let known = self.hops.iter().find(|(known, _)| *known == hop);
        known.expect("a hop without labels").1.record(seconds(duration_us));
    }

    /// Records a broadcast that took `duration_us` microseconds. A healed message has none.
    pub fn broadcast(&self, origin: Origin, duration_us: u64) {
        match origin {
            Origin::Own => self.broadcast[0].record(seconds(duration_us)),
            Origin::Peer => self.broadcast[1].record(seconds(duration_us)),
            Origin::Healed => {}
        }
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
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), &BOUNDS_SECONDS)?
        .set_buckets_for_metric(Matcher::Full(BATCH_MESSAGES.into()), &BATCH_BOUNDS)?
        .install_recorder()?;
    LazyLock::force(&METRICS);
    Ok(handle)
}
