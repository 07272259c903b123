//! *Servers*: are they well, and which of their queues, dependencies or clients is not?

use hopline::hop::Hop;

use super::{
    colours,
    dashboard::{Dashboard, Row},
    dependencies,
    panel::Panel,
    promql::{Metric, servers},
};

const GUIDE: &str = "\
Rates, errors and durations of connections and publishes first; then where messages can wait or get lost; then what the \
servers stand on.

- **Healthy**: queues near 0; no drops, gaps, skipped numbers or losses of the broker; every server connected to PostgreSQL and \
Redis; no spans lost.
- **A queue grows**: the stage behind it is the bottleneck. *Persist* waits for PostgreSQL, *publish* for Redis, *receive* for this server.
- **Gaps, but nothing dropped here**: the broker lost messages on the way. They were read from PostgreSQL, so clients only waited.
- **Skipped numbers**: someone deleted rows. It else stays 0.
- **Spans lost**: traces are incomplete; don't draw conclusions from what they lack.";

/// The dashboard.
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "hopline-servers",
        title: "Hopline / Servers",
        description: "What the servers do, what waits, what is lost, and what they stand on.",
        variables: Vec::new(),
        guide: Panel::text("What to look for", GUIDE, 8),
        rows: vec![
            Row { title: "Connections", panels: connections() },
            Row { title: "Who is not let in", panels: admission() },
            Row { title: "Publishes", panels: publishes() },
            Row { title: "Queues and drops", panels: queues() },
            Row { title: "Fan-out", panels: fan_out() },
            Row { title: "Gaps and healing", panels: healing() },
            Row { title: "Broker", panels: dependencies::broker() },
            Row { title: "Outbox", panels: dependencies::outbox() },
            Row { title: "PostgreSQL", panels: dependencies::postgres() },
            Row { title: "Redis", panels: dependencies::redis() },
            Row { title: "Runtime and process", panels: dependencies::process() },
            Row { title: "Telemetry", panels: dependencies::telemetry() },
        ],
    }
}

/// A line for each value of a label.
pub(super) fn by(title: &str, unit: &'static str, label: &str, metric: &Metric, description: &str) -> Panel {
    let legend = format!("{{{{{label}}}}}");
    Panel::lines(title, unit, description).query(&legend, metric.rate(label))
}

/// A line for each server.
pub(super) fn gauge(title: &str, unit: &'static str, name: &'static str, description: &str) -> Panel {
    Panel::lines(title, unit, description).query("{{node}}", servers(name).sum("node"))
}

fn connections() -> Vec<Panel> {
    let lifetime = servers("hopline_connection_lifetime_seconds");
    let closed = servers("hopline_connections_closed_total");
    vec![
        gauge("Open connections", "short", "hopline_connections", "Open WebSocket connections of each server."),
        Panel::lines(
            "Connections opened and refused",
            "ops",
            "How many connections a second the servers opened, and how many they refused because their limit was \
             reached. Many opened while the number of open ones stays: clients reconnect.",
        )
        .query("opened", servers("hopline_connections_opened_total").rate(""))
        .query("refused", servers("hopline_connections_refused_total").rate(""))
        .with(colours::named("refused", "color", &colours::fixed(colours::BAD))),
        by(
            "Connections closed by the server",
            "ops",
            "reason",
            &closed,
            "Why servers closed connections. slow_client: a client read more slowly than messages came.",
        ),
        Panel::durations(
            "Lifetime of connections",
            "How long connections had lived when they ended. A short median: clients come and go, or reconnect.",
        )
        .query("p50", lifetime.percentile(50.0))
        .query("p90", lifetime.percentile(90.0)),
        by(
            "Requests refused",
            "ops",
            "code",
            &servers("hopline_errors_total"),
            "Requests that servers answered with an error. busy: a queue was full. unavailable: PostgreSQL was away.",
        ),
        gauge("Subscriptions", "short", "hopline_subscriptions", "Subscriptions of connected clients."),
    ]
}

fn admission() -> Vec<Panel> {
    vec![
        by(
            "Refusals for want of identity or permission",
            "ops",
            "reason",
            &servers("hopline_auth_refusals_total"),
            "Clients are told a code only; why stands here. Many of signature, expired or origin: someone tries.",
        ),
        by(
            "HTTP connections cut off",
            "ops",
            "reason",
            &servers("hopline_heads_refused_total"),
            "slow: no request came in time, as from idle connections, too. too_large, malformed: what came was none. \
             unread: the client didn't take its answer.",
        )
        .query("unread", servers("hopline_answers_unread_total").rate("")),
        by(
            "TLS handshakes",
            "ops",
            "outcome",
            &servers("hopline_tls_handshakes_total"),
            "refused: the client didn't believe the certificate. Nothing here: the server has none.",
        ),
    ]
}

fn publishes() -> Vec<Panel> {
    let publishes = servers("hopline_publishes_total");
    let hop = |hop: Hop| servers("hopline_hop_duration_seconds").with("hop", hop.as_str());
    let refused = "conflict|rejected|unavailable|busy";
    vec![
        by(
            "Publishes",
            "ops",
            "outcome",
            &publishes,
            "Publishes a second by what became of them. repeated: a client sent again what was stored already.",
        ),
        Panel::lines(
            "Share of publishes refused",
            "percentunit",
            "Of all publishes, those that were not stored: conflict, rejected, unavailable or busy.",
        )
        .query(
            "refused",
            format!("{} / {}", publishes.clone().matching("outcome", refused).rate(""), publishes.rate("")),
        )
        .colour(colours::BAD),
        Panel::durations(
            "accept and persist: what a publisher waits for",
            "The acknowledgement leaves when both are done.",
        )
        .query("accept p50", hop(Hop::Accept).percentile(50.0))
        .query("accept p99", hop(Hop::Accept).percentile(99.0))
        .query("persist p50", hop(Hop::Persist).percentile(50.0))
        .query("persist p99", hop(Hop::Persist).percentile(99.0))
        .with(colours::matching("^accept", "color", &colours::fixed(colours::of(Hop::Accept))))
        .with(colours::matching("^persist", "color", &colours::fixed(colours::of(Hop::Persist)))),
    ]
}

fn queues() -> Vec<Panel> {
    vec![
        gauge(
            "Waiting for a commit",
            "short",
            "hopline_persist_queue_messages",
            "Messages accepted and not yet committed. It grows when PostgreSQL is slower than messages come.",
        )
        .size(8, 8),
        gauge(
            "Waiting for the broker",
            "short",
            "hopline_publish_queue_messages",
            "Messages committed that wait for the broker or its acknowledgement.",
        )
        .size(8, 8),
        gauge(
            "Waiting for receive",
            "short",
            "hopline_receive_queue_messages",
            "What came from the broker and is not yet handed on. It grows when this server is too slow.",
        )
        .size(8, 8),
        gauge(
            "Waiting for sockets",
            "bytes",
            "hopline_send_queue_bytes",
            "Frames for clients that read more slowly than messages come; one that several get counts once.",
        )
        .size(12, 8),
        by(
            "Drops",
            "ops",
            "reason",
            &servers("hopline_dropped_total"),
            "Messages dropped, by reason. None is lost: each is read from PostgreSQL later.",
        )
        .size(12, 8),
    ]
}

fn fan_out() -> Vec<Panel> {
    let deliveries = servers("hopline_deliveries_total");
    let in_order = servers("hopline_arrivals_total").with("outcome", "in_order");
    vec![
        Panel::lines("Deliveries", "ops", "Messages handed to clients' queues a second, by server.")
            .query("{{node}}", deliveries.rate("node")),
        Panel::lines(
            "Deliveries for each message that arrived",
            "short",
            "To how many local clients a server hands a message, on average.",
        )
        .query("{{node}}", format!("{} / {}", deliveries.rate("node"), in_order.rate("node"))),
        by(
            "Arrivals from the broker",
            "ops",
            "outcome",
            &servers("hopline_arrivals_total"),
            "early: waits for its predecessors. unwatched: no client here is subscribed. duplicate: known already.",
        ),
    ]
}

fn healing() -> Vec<Panel> {
    let counters = Panel::lines(
        "Healed, skipped, failed",
        "ops",
        "Messages read from PostgreSQL to close gaps; numbers that no stored message has; reads that failed and \
         are repeated.",
    );
    vec![
        by(
            "Gaps",
            "ops",
            "cause",
            &servers("hopline_gaps_total"),
            "arrival: a later message came first. position: the channel's counter was ahead of what had come.",
        ),
        counters
            .query("healed", servers("hopline_healed_messages_total").rate(""))
            .query("skipped", servers("hopline_skipped_numbers_total").rate(""))
            .query("failed", servers("hopline_heal_failures_total").rate(""))
            .with(colours::named("failed", "color", &colours::fixed(colours::BAD))),
        by(
            "Position checks",
            "ops",
            "trigger",
            &servers("hopline_position_checks_total"),
            "Comparisons with the channels' counters: every 2 s (interval), more often while the broker is away (lost).",
        ),
    ]
}
