//! Every metric of the server, declared once.

mod declare;
mod hops;

use std::{ops::Deref, sync::LazyLock};

use metrics::{Counter, Gauge, Histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use declare::Counters;
use declare::{Declared, declare};
pub use hops::Hops;

use super::{
    exemplars,
    labels::{
        Arrival, AuthRefusal, BrokerLoss, CheckTrigger, ConnectionLimit, Direction, DropReason, GapCause,
        HandshakeOutcome, HeadRefusal, PersistRetry, PublishOutcome, SpanOutcome,
    },
};
use crate::{
    hop::BOUNDS_SECONDS,
    protocol::{CloseCode, ErrorCode},
};

const BATCH_BOUNDS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
const LIFETIME_BOUNDS_SECONDS: [f64; 7] = [1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0];

declare! {
    /// Handles of the metrics that are no hop's.
    Plain {
        /// Messages committed together.
        "hopline_persist_batch_messages": batch_messages is Histogram;
        /// Messages that wait for a commit.
        "hopline_persist_queue_messages": persist_queue is Gauge;
        /// Writers that have a connection to PostgreSQL.
        "hopline_persist_connected": persist_connected is Gauge;
        /// Batches that were sent to PostgreSQL again.
        "hopline_persist_retries_total": persist_retries is Counters<PersistRetry>, by "reason";
        /// Publishes by what became of them.
        "hopline_publishes_total": publishes is Counters<PublishOutcome>, by "outcome";
        /// Committed messages that the broker has not acknowledged yet.
        "hopline_publish_queue_messages": publish_queue is Gauge;
        /// Whether this server relays what is in the outbox.
        "hopline_outbox_relay": outbox_relay is Gauge;
        /// Committed messages that wait in the outbox, by its relay; no more than 100,000 are counted.
        "hopline_outbox_messages": outbox_messages is Gauge;
        /// How long the oldest message has been in the outbox, by its relay.
        "hopline_outbox_age_seconds": outbox_age is Gauge;
        /// Batches that could not be published and stay in the outbox.
        "hopline_outbox_failures_total": outbox_failures is Counter;
        /// Whether the broker connection is up.
        "hopline_broker_connected": broker_connected is Gauge;
        /// Broker connections given up, and attempts to get one that failed: some ten a second while it is away.
        "hopline_broker_losses_total": broker_losses is Counters<BrokerLoss>, by "reason";
        /// Bytes of the envelopes that went to the broker and came from it.
        "hopline_broker_bytes_total": broker_bytes is Counters<Direction>, by "direction";
        /// Messages from the broker that wait for receive.
        "hopline_receive_queue_messages": receive_queue is Gauge;
        /// Messages from the broker by what became of them.
        "hopline_arrivals_total": arrivals is Counters<Arrival>, by "outcome";
        /// Messages dropped; all are recovered.
        "hopline_dropped_total": dropped is Counters<DropReason>, by "reason";
        /// Gaps that had to be healed from PostgreSQL.
        "hopline_gaps_total": gaps is Counters<GapCause>, by "cause";
        /// Messages read from PostgreSQL to close gaps.
        "hopline_healed_messages_total": healed is Counter;
        /// Sequence numbers that no stored message has.
        "hopline_skipped_numbers_total": skipped is Counter;
        /// Reads for healing that failed; they are repeated.
        "hopline_heal_failures_total": heal_failures is Counter;
        /// Comparisons of positions with the channels' counters.
        "hopline_position_checks_total": position_checks is Counters<CheckTrigger>, by "trigger";
        /// TLS handshakes by what became of them.
        "hopline_tls_handshakes_total": tls_handshakes is Counters<HandshakeOutcome>, by "outcome";
        /// Open WebSocket connections.
        "hopline_connections": connections is Gauge;
        /// WebSocket connections opened.
        "hopline_connections_opened_total": connections_opened is Counter;
        /// WebSocket connections refused because a limit was reached.
        "hopline_connections_refused_total": connections_refused is Counters<ConnectionLimit>, by "limit";
        /// WebSocket connections closed by the server.
        "hopline_connections_closed_total": connections_closed is Counters<CloseCode>, by "reason";
        /// How long WebSocket connections lasted.
        "hopline_connection_lifetime_seconds": connection_lifetime is Histogram;
        /// Subscriptions of connected clients.
        "hopline_subscriptions": subscriptions is Gauge;
        /// Bytes of frames that wait for clients' sockets; one that several clients get counts once.
        "hopline_send_queue_bytes": send_queue_bytes is Gauge;
        /// Messages handed to clients' queues.
        "hopline_deliveries_total": deliveries is Counter;
        /// Requests refused, by error code.
        "hopline_errors_total": errors is Counters<ErrorCode>, by "code";
        /// What was refused for want of identity or permission.
        "hopline_auth_refusals_total": auth_refusals is Counters<AuthRefusal>, by "reason";
        /// Connections closed for want of a request that can be read; slow ones may just be idle.
        "hopline_heads_refused_total": heads_refused is Counters<HeadRefusal>, by "reason";
        /// HTTP connections closed because the client took nothing of an answer for too long.
        "hopline_answers_unread_total": answers_unread is Counter;
        /// Spans by what became of them; those that ended and have no other outcome wait for the exporter.
        "hopline_spans_total": spans is Counters<SpanOutcome>, by "outcome";
    }
}

/// Handles of all metrics.
pub struct Metrics {
    /// How long the hops take.
    pub hops: Hops,
    plain: Plain,
}

impl Deref for Metrics {
    type Target = Plain;

    fn deref(&self) -> &Plain {
        &self.plain
    }
}

static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics { hops: Hops::register(), plain: Plain::register() });

/// The metrics' handles. They record nothing unless [`install`] was called before the first use.
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// Installs the Prometheus recorder. The handle renders it, and its `run_upkeep` must be called every few
/// seconds: histograms grow without it.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let exact = |name: &str| Matcher::Full(name.into());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), &BOUNDS_SECONDS)?
        .set_buckets_for_metric(exact("hopline_persist_batch_messages"), &BATCH_BOUNDS)?
        .set_buckets_for_metric(exact("hopline_connection_lifetime_seconds"), &LIFETIME_BOUNDS_SECONDS)?
        .install_recorder()?;
    exemplars::install();
    LazyLock::force(&METRICS);
    Ok(handle)
}
