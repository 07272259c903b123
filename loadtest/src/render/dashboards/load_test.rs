//! *Load test*: what clients measured beside what servers measured, on the same axes.

use hopline::hop::{Hop, Recipient};
use serde_json::json;

use super::{
    claims::Claims,
    colours,
    dashboard::{Dashboard, Row},
    panel::Panel,
    promql::{Metric, load_test, servers},
    target::Target,
};
use crate::budget::Budget;

const GUIDE: &str = "\
The load generator sends on a schedule, whatever the servers do, and counts from the moment at which a message *should* have \
left. What its clients measured is grey; what the servers measured has the hop's colour.

1. **Is the test valid?** Sent follows planned, nothing is refused, and the send lag is far below what is measured. Else the \
figures are about the generator.
2. **Do both views agree?** For each hop the grey and the coloured line lie on one another, up to a bucket's width (a quarter). If they \
don't, don't trust either before you know why.
3. **What do clients see that servers can't?** `total` less the sum of the hops: sockets, the network and the client itself.
4. **Which message was slow?** Click a dot of `total` and read its trace.";

const CLIENTS: &str = "hopline_loadtest_hop_duration_seconds";
const SERVERS: &str = "hopline_hop_duration_seconds";

/// The dashboard.
pub(super) fn dashboard(budget: &Budget) -> Dashboard {
    let claims = Claims::of(budget);
    Dashboard {
        uid: "hopline-load-test",
        title: "Hopline / Load test",
        description: "What the load generator's clients measured beside what the servers measured.",
        variables: Vec::new(),
        guide: Panel::text("What to look for", GUIDE, 8),
        rows: vec![
            Row { title: "Is the test valid?", panels: validity() },
            Row { title: "What a client sees", panels: total(&claims) },
            Row { title: "The same hops, measured by clients and by servers", panels: hops(&claims) },
            Row { title: "Telemetry of the load generator", panels: telemetry() },
        ],
    }
}

fn messages(outcome: &str) -> Metric {
    load_test("hopline_loadtest_messages_total").with("outcome", outcome)
}

fn clients(hop: &str) -> Metric {
    load_test(CLIENTS).with("hop", hop)
}

fn validity() -> Vec<Panel> {
    let lag = load_test("hopline_loadtest_send_lag_seconds");
    let refused = Panel::lines(
        "Refused",
        "ops",
        "Messages that servers refused, as the clients counted them and as the servers did. Above 0 the load is too \
         high, and refused messages have no latency.",
    );
    let server_refused =
        servers("hopline_publishes_total").matching("outcome", "conflict|rejected|unavailable|busy");
    vec![
        Panel::lines(
            "Messages: planned, sent, acknowledged, stored",
            "ops",
            "All four should be one line. Sent below planned: the generator is too slow. Acknowledged below sent: the \
             servers are. Stored is what the servers counted.",
        )
        .query("planned", messages("planned").rate(""))
        .query("sent", messages("sent").rate(""))
        .query("acknowledged", messages("acknowledged").rate(""))
        .query("stored", servers("hopline_publishes_total").with("outcome", "stored").rate(""))
        .with(colours::named("stored", "color", &colours::fixed(colours::of(Hop::Persist)))),
        Panel::lines(
            "Deliveries: by clients, by servers",
            "ops",
            "Messages that clients received, and messages that servers handed to clients' queues. One line, if nothing \
             else is connected.",
        )
        .query("clients", messages("delivered").rate(""))
        .query("servers", servers("hopline_deliveries_total").rate(""))
        .with(colours::named("clients", "color", &colours::fixed(colours::CLIENTS)))
        .with(colours::named("servers", "color", &colours::fixed(colours::of(Hop::Send)))),
        Panel::durations(
            "Send lag",
            "How late messages left against the plan. It is part of total; far below total, it does not matter.",
        )
        .query("p50", lag.percentile(50.0))
        .query("p99", lag.percentile(99.0))
        .colour(colours::CLIENTS),
        refused.query("clients", messages("refused").rate("")).query("servers", server_refused.rate("")),
        Panel::lines("Clients", "short", "Connected clients of the generator by role, and the servers' connections.")
            .query("{{role}}", load_test("hopline_loadtest_clients").sum("role"))
            .query("servers: connections", servers("hopline_connections").sum("")),
        Panel::lines("Servers' processor time for each message", "s", "Of all servers together.").query(
            "mean",
            format!(
                "{} / {}",
                servers("process_cpu_seconds_total").rate(""),
                servers("hopline_publishes_total").rate("")
            ),
        ),
    ]
}

fn total(claims: &Claims) -> Vec<Panel> {
    let total = clients(Hop::Total.as_str());
    let colour = colours::of(Hop::Total);
    // A hop that no message passes has no mean, and the others are to be summed up nevertheless.
    let mean = |hop| format!("({} >= 0 or vector(0))", server_series(hop).mean(""));
    let path = Hop::CRITICAL_PATH.map(mean).join(" + ");
    vec![
        Panel::heat(
            "total: all deliveries",
            "How many deliveries took how long. Dots are single messages: click one to see its trace.",
        )
        .target(Target::prometheus("{{le}}", total.heat()).exemplars().heat())
        .size(12, 10),
        Panel::durations(
            "total: percentiles and single messages",
            "From the moment at which a message should have left until another client has it. Dots are single \
             messages: click one to see its trace. The red line is the budget.",
        )
        .target(Target::prometheus("p99", total.percentile(99.0)).exemplars())
        .query("p50", total.percentile(50.0))
        .colour(colour)
        .limits(&claims.limits_seconds(Hop::Total))
        .size(12, 10),
        Panel::lines(
            "Mean of total beside the sum of the hops",
            "s",
            "The distance is what servers can't see: send lag, sockets, the network, the client.",
        )
        .query("clients: total", total.mean(""))
        .query("servers: sum of the hops", path)
        .with(colours::named("clients: total", "color", &colours::fixed(colours::CLIENTS)))
        .with(colours::named("servers: sum of the hops", "color", &colours::fixed(colour)))
        .size(12, 8),
        beside(
            "Acknowledgement: by clients, beside persist",
            "From the intended moment until the publisher has its acknowledgement, beside the hop that it waits for.",
            &load_test("hopline_loadtest_ack_duration_seconds"),
            &server_series(Hop::Persist),
            Hop::Persist,
        )
        .size(12, 8),
    ]
}

/// The series of the servers that stands for a hop.
fn server_series(hop: Hop) -> Metric {
    let series = servers(SERVERS).with("hop", hop.as_str());
    if hop == Hop::Send { series.with("recipient", Recipient::Median.as_str()) } else { series }
}

fn hops(claims: &Claims) -> Vec<Panel> {
    let panel = |hop: Hop| {
        let note = match hop {
            Hop::Send => "Clients count every recipient, the servers' line is the median one.",
            Hop::Broadcast => "Of all servers, the publisher's own and the others.",
            _ => "Both should lie on one another.",
        };
        beside(hop.as_str(), note, &clients(hop.as_str()), &server_series(hop), hop)
            .limits(&claims.limits_seconds(hop))
    };
    Hop::CRITICAL_PATH.map(panel).into()
}

/// Percentiles by clients and by servers, on the same axes.
fn beside(title: &str, description: &str, by_clients: &Metric, by_servers: &Metric, hop: Hop) -> Panel {
    Panel::durations(title, description)
        .query("clients p50", by_clients.percentile(50.0))
        .query("clients p99", by_clients.percentile(99.0))
        .query("servers p50", by_servers.percentile(50.0))
        .query("servers p99", by_servers.percentile(99.0))
        .with(colours::matching("^clients", "color", &colours::fixed(colours::CLIENTS)))
        .with(colours::matching("^clients", "custom.lineWidth", &json!(3)))
        .with(colours::matching("^servers", "color", &colours::fixed(colours::of(hop))))
}

fn telemetry() -> Vec<Panel> {
    let spans = load_test("hopline_loadtest_spans_total");
    let lost = spans.clone().matching("outcome", "failed|dropped").rate("");
    let ended = spans.clone().with("outcome", "ended").rate("");
    vec![
        Panel::lines(
            "Spans",
            "ops",
            "ended = exported + failed + dropped + what is still queued. dropped: the queue was full. failed: the \
             collector did not take them.",
        )
        .query("{{outcome}}", spans.rate("outcome"))
        .size(12, 8),
        Panel::lines("Share of spans lost", "percentunit", "Failed or dropped. Above 0, traces have holes.")
            .query("lost", format!("{lost} / {ended}"))
            .max(1.0)
            .colour(colours::BAD)
            .size(12, 8),
    ]
}
