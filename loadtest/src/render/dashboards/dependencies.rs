//! What the servers stand on: the rows of *Servers* about broker, PostgreSQL, Redis, process and telemetry.

use super::{
    colours,
    panel::Panel,
    promql::{Job, metric, servers},
    servers::{by, gauge},
    target::Target,
};

/// The connection to the broker.
pub(super) fn broker() -> Vec<Panel> {
    let bytes = servers("hopline_broker_bytes_total");
    let published = servers("hopline_hop_duration_seconds").with("hop", "publish");
    let connected = Panel::figures(
        "Servers connected to the broker",
        "short",
        "1 for each server whose connection to the broker is up. A server without one is still ready: it reads \
         what it misses from PostgreSQL.",
    );
    vec![
        connected
            .target(Target::once("{{node}}", servers("hopline_broker_connected").sum("node")))
            .at_least(1.0)
            .size(6, 8),
        by(
            "Broker connections given up",
            "ops",
            "reason",
            &servers("hopline_broker_losses_total"),
            "closed: it ended. heartbeat: it did not answer. deaf: it was up and brought nothing. moved: a slot is another node's.",
        )
        .size(6, 8),
        by(
            "Bytes to and from the broker",
            "Bps",
            "direction",
            &bytes,
            "Envelopes' bytes a second. With one topic every server receives everything: in is out times the servers.",
        )
        .size(6, 8),
        Panel::lines("Size of an envelope", "bytes", "Bytes sent to the broker for each message published.")
            .query(
                "mean",
                format!("{} / {}", bytes.with("direction", "out").rate(""), published.count_rate("")),
            )
            .size(6, 8),
    ]
}

/// What is committed and not yet with the broker, where a relay feeds it.
pub(super) fn outbox() -> Vec<Panel> {
    let relays =
        "Which server relays. One does; for a moment none, when it has died. Without an outbox none does.";
    vec![
        gauge("Who relays", "short", "hopline_outbox_relay", relays).size(6, 8),
        gauge(
            "Waiting in the outbox",
            "short",
            "hopline_outbox_messages",
            "Messages committed that the relay has not published yet. It grows while Kafka is away: clients then have them \
             from PostgreSQL.",
        )
        .size(6, 8),
        gauge(
            "Age of the oldest",
            "s",
            "hopline_outbox_age_seconds",
            "How long the oldest message has been in the outbox.",
        )
        .size(6, 8),
        Panel::lines(
            "Publishes that failed",
            "ops",
            "Batches that Kafka did not acknowledge in time. They stay in the outbox, and are published again.",
        )
        .query("failed", servers("hopline_outbox_failures_total").rate(""))
        .colour(colours::BAD)
        .size(6, 8),
    ]
}

/// PostgreSQL, as the servers and its exporter see it.
pub(super) fn postgres() -> Vec<Panel> {
    let commit = servers("hopline_persist_commit_duration_seconds");
    let batch = servers("hopline_persist_batch_messages");
    let exporter = |name| metric(Job::Postgres, name);
    vec![
        gauge(
            "Writers connected",
            "short",
            "hopline_persist_connected",
            "Writers that have a connection to PostgreSQL. Without one nothing is stored.",
        ),
        Panel::lines("Connections that read", "short", "The pool for history, healing and position checks.")
            .query("{{state}}", servers("hopline_postgres_connections").sum("state")),
        by(
            "Batches sent again",
            "ops",
            "reason",
            &servers("hopline_persist_retries_total"),
            "connection: it was lost. contention: two transactions collided. split: a row was bad, the others go on.",
        ),
        Panel::durations("Commit", "The round trip that commits a batch.")
            .query("p50", commit.percentile(50.0))
            .query("p99", commit.percentile(99.0)),
        Panel::lines(
            "Messages in a batch",
            "short",
            "How many messages share a commit. It grows with the load: that is what keeps PostgreSQL fast.",
        )
        .query("mean", batch.mean(""))
        .query("p99", batch.percentile(99.0)),
        Panel::lines("Commits", "ops", "Batches of the servers beside all transactions of each database.")
            .query("batches", commit.count_rate(""))
            .query(
                "database {{datname}}",
                exporter("pg_stat_database_xact_commit").matching("datname", ".+").rate("datname"),
            ),
        Panel::lines(
            "Connections to each database",
            "short",
            "Connections to each database, as PostgreSQL counts them.",
        )
        .query(
            "{{datname}}",
            exporter("pg_stat_database_numbackends").matching("datname", ".+").sum("datname"),
        ),
        Panel::lines("Rows inserted and read", "ops", "In all databases, a second.")
            .query("inserted", exporter("pg_stat_database_tup_inserted").rate(""))
            .query("read", exporter("pg_stat_database_tup_fetched").rate("")),
        Panel::lines(
            "Rolled back, deadlocks",
            "ops",
            "Transactions that failed. A deadlock is a fault of Hopline.",
        )
        .query("rolled back", exporter("pg_stat_database_xact_rollback").rate(""))
        .query("deadlocks", exporter("pg_stat_database_deadlocks").rate(""))
        .with(colours::named("deadlocks", "color", &colours::fixed(colours::BAD))),
    ]
}

/// Redis, as its exporter sees it.
pub(super) fn redis() -> Vec<Panel> {
    let exporter = |name| metric(Job::Redis, name);
    vec![
        Panel::lines(
            "Clients and channels",
            "short",
            "Each server has one connection that publishes and one that is subscribed.",
        )
        .query("clients", exporter("redis_connected_clients").sum(""))
        .query("channels subscribed to", exporter("redis_pubsub_channels").sum("")),
        Panel::lines("Commands", "ops", "Commands a second, by kind.")
            .query("{{cmd}}", exporter("redis_commands_total").rate("cmd")),
        Panel::lines("Bytes in and out", "Bps", "What Redis received and sent. Out is in times the servers.")
            .query("in", exporter("redis_net_input_bytes_total").rate(""))
            .query("out", exporter("redis_net_output_bytes_total").rate("")),
        Panel::lines(
            "Memory of Redis",
            "bytes",
            "It stays flat: Redis stores nothing. It grows if a subscriber does not read.",
        )
        .query("used", exporter("redis_memory_used_bytes").sum("")),
        Panel::lines("Processor time of Redis", "percentunit", "Redis uses one core: near 100 % it is full.")
            .query("user", exporter("redis_cpu_user_seconds_total").rate(""))
            .query("system", exporter("redis_cpu_sys_seconds_total").rate(""))
            .stacked(),
        Panel::lines("Time of a command", "s", "Mean time that Redis spends in a command, by kind.").query(
            "{{cmd}}",
            format!(
                "{} / {}",
                exporter("redis_commands_duration_seconds_total").rate("cmd"),
                exporter("redis_commands_total").rate("cmd")
            ),
        ),
    ]
}

/// Tokio's runtime and the process around it.
pub(super) fn process() -> Vec<Panel> {
    let busy = servers("hopline_runtime_busy_seconds_total").rate("node");
    let workers = servers("hopline_runtime_workers").sum("node");
    vec![
        Panel::lines(
            "Workers busy",
            "percentunit",
            "The share of their time in which tokio's workers ran tasks. Near 100 % every hop gets slower.",
        )
        .query("{{node}}", format!("{busy} / {workers}"))
        .max(1.0),
        gauge("Tasks", "short", "hopline_runtime_tasks", "Tasks alive: two or so for each client."),
        gauge(
            "Tasks that wait for a worker",
            "short",
            "hopline_runtime_queue_tasks",
            "Tasks ready to run that wait. It stays near 0 unless the workers are full.",
        ),
        Panel::lines("Processor time", "percentunit", "Processor time of each server: 100 % is one core.")
            .query("{{node}}", servers("process_cpu_seconds_total").rate("node")),
        gauge("Memory", "bytes", "process_resident_memory_bytes", "Resident memory of each server."),
        Panel::lines("File descriptors used", "percentunit", "Of the limit. Each connection takes one.")
            .query(
                "{{node}}",
                format!(
                    "{} / {}",
                    servers("process_open_fds").sum("node"),
                    servers("process_max_fds").sum("node")
                ),
            )
            .max(1.0),
        gauge("Threads", "short", "process_threads", "Threads of each server.").size(12, 6),
        Panel::lines("Time since the start", "s", "It falls to 0 when a server starts anew.")
            .query("{{node}}", format!("time() - {}", servers("process_start_time_seconds").sum("node")))
            .size(12, 6),
    ]
}

/// What telemetry itself lost, and who is scraped.
pub(super) fn telemetry() -> Vec<Panel> {
    let spans = servers("hopline_spans_total");
    let lost = spans.clone().matching("outcome", "failed|dropped").rate("node");
    let ended = spans.clone().with("outcome", "ended").rate("node");
    let build = servers("hopline_build_info").sum("node, version");
    let version = Panel::table("Versions", "short", "The version that each server runs.")
        .target(Target::once("", build).rows());
    vec![
        by(
            "Spans",
            "ops",
            "outcome",
            &spans,
            "ended = exported + failed + dropped + what is still queued. dropped: the queue was full. failed: the \
             collector did not take them.",
        ),
        Panel::lines("Share of spans lost", "percentunit", "Failed or dropped. Above 0, traces have holes.")
            .query("{{node}}", format!("{lost} / {ended}"))
            .max(1.0),
        Panel::states("Scraped", "Whether Prometheus reaches each target: 1 or 0.")
            .query("{{job}} {{node}}", "max by (job, node) (up{job!=\"\"})".to_owned())
            .at_least(1.0),
        version.size(24, 6),
    ]
}
