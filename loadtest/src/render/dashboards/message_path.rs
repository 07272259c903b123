//! *Message path*: is the budget kept, and if not, in which hop and which message did the time go?

use hopline::hop::{Hop, Origin, Recipient};
use serde_json::{Value, json};

use super::{
    claims::Claims,
    colours,
    dashboard::{Dashboard, Row, choice},
    panel::Panel,
    promql::{Job, Metric, load_test, metric, servers},
    target::Target,
};
use crate::budget::Budget;

const GUIDE: &str = "\
A message goes **accept → persist → broadcast → receive → send**, with Kafka by the `outbox` before broadcast; `publish` runs beside broadcast, and `total` is what a \
client sees. Each hop has the same colour everywhere.

1. **Budget**: is the share of messages within each limit as high as the claim wants it? A burn rate above 1 means: no.
2. **Each hop**: which one rose? A red dashed line is a limit of `observability/budget.toml`; the axes are logarithmic.
3. **Where the time goes**: does that hop matter? Means add up, percentiles don't.
4. **Single messages**: click a dot, or a line of the tables, and read in its trace on which server it waited.

`total` is measured by the load generator: without it, panels that show `total` are empty.";

const HOP: &str = "hopline_hop_duration_seconds";

/// The dashboard.
pub(super) fn dashboard(budget: &Budget) -> Dashboard {
    let claims = Claims::of(budget);
    Dashboard {
        uid: "hopline-message-path",
        title: "Hopline / Message path",
        description: "Every hop of a message against its budget, and the traces of the slow ones.",
        variables: vec![choice("slower_than", "Slower than", &["5ms", "1ms", "20ms", "100ms", "500ms"])],
        guide: Panel::text("What to look for", GUIDE, 7),
        rows: vec![
            Row { title: "Budget", panels: claims.panels() },
            Row { title: "Each hop against its limits", panels: hops(&claims) },
            Row { title: "Where the time goes", panels: contributions() },
            Row { title: "Single messages", panels: single_messages() },
        ],
    }
}

fn hops(claims: &Claims) -> Vec<Panel> {
    let mut panels: Vec<Panel> =
        Hop::ALL.map(|hop| hop_panel(hop).limits(&claims.limits_seconds(hop)).size(6, 9)).into();
    panels.push(commit().size(6, 9));
    panels
}

fn hop_panel(hop: Hop) -> Panel {
    let what = match hop {
        Hop::Accept => "From the frame read off the socket until the message is queued for PostgreSQL.",
        Hop::Persist => {
            "From there until the transaction has committed: waiting for the commit before, then the commit."
        }
        Hop::Outbox => {
            "From the commit, by the clock of PostgreSQL, until the relay hands the message to Kafka. Without an outbox \
             there is nothing here."
        }
        Hop::Publish => {
            "From the commit, or where the outbox ends, until the broker has acknowledged. It overlaps broadcast; no message \
             waits for it."
        }
        Hop::Broadcast => {
            "From where the publish begins until a server's subscriber has the message. self is measured on one clock, peer \
             is as good as two hosts' clocks agree."
        }
        Hop::Receive => {
            "From there until it is in order and handed to the recipients' queues. Early messages wait here."
        }
        Hop::Send => {
            "From there until a recipient's socket took it: the first, the median and the last recipient."
        }
        Hop::Total => {
            "From the moment at which a client intended to send until another client has it, as the load generator \
             measured it. Dots are single messages: click one to see its trace."
        }
    };
    let panel = Panel::durations(hop.as_str(), what).colour(colours::of(hop));
    let both = |panel: Panel, name: &str, metric: &Metric| {
        let panel = panel.query(&format!("{name}p50"), metric.percentile(50.0));
        panel.query(&format!("{name}p99"), metric.percentile(99.0))
    };
    let series = servers(HOP).with("hop", hop.as_str());
    match hop {
        Hop::Broadcast => [Origin::Own, Origin::Peer].into_iter().fold(panel, |panel, origin| {
            let name = format!("{} ", origin.as_str());
            both(panel, &name, &series.clone().with("origin", origin.as_str()))
        }),
        Hop::Send => Recipient::ALL.into_iter().fold(panel, |panel, recipient| {
            let name = format!("{} ", recipient.as_str());
            both(panel, &name, &series.clone().with("recipient", recipient.as_str()))
        }),
        Hop::Total => {
            let total = total();
            let panel = panel.query("p50", total.percentile(50.0));
            panel.target(Target::prometheus("p99", total.percentile(99.0)).exemplars())
        }
        _ => both(panel, "", &series),
    }
}

fn total() -> Metric {
    load_test("hopline_loadtest_hop_duration_seconds").with("hop", Hop::Total.as_str())
}

fn commit() -> Panel {
    let persist = servers(HOP).with("hop", Hop::Persist.as_str());
    let commit = servers("hopline_persist_commit_duration_seconds");
    Panel::durations(
        "persist: waiting or committing?",
        "The whole hop beside the round trip to PostgreSQL that is part of it. Far apart: messages wait for the commit \
         before theirs. Close together: PostgreSQL itself is what takes the time.",
    )
    .query("persist p50", persist.percentile(50.0))
    .query("persist p99", persist.percentile(99.0))
    .query("commit p50", commit.percentile(50.0))
    .query("commit p99", commit.percentile(99.0))
    .with(colours::matching("^persist", "color", &colours::fixed(colours::of(Hop::Persist))))
    .with(colours::matching("^commit", "color", &colours::fixed(colours::CLIENTS)))
}

/// The critical path, each hop with the series that stands for it.
fn critical_path() -> [(Hop, Metric); Hop::CRITICAL_PATH.len()] {
    Hop::CRITICAL_PATH.map(|hop| {
        let series = servers(HOP).with("hop", hop.as_str());
        // The median recipient stands for all of them.
        let is_send = hop == Hop::Send;
        (hop, if is_send { series.with("recipient", Recipient::Median.as_str()) } else { series })
    })
}

fn contributions() -> Vec<Panel> {
    let stack = Panel::lines(
        "Mean of each hop, on top of one another",
        "s",
        "The hops of the critical path follow one another, so their means add up. What total has more than the stack \
         is spent between client and server, and in the client. Of send, the median recipient is shown.",
    );
    let unstacked = json!({ "mode": "none", "group": "A" });
    let stack = stack
        .stacked()
        .hop_colours()
        .with(colours::named("total", "custom.stacking", &unstacked))
        .with(colours::named("total", "custom.fillOpacity", &json!(0)))
        .with(colours::named("total", "custom.lineWidth", &json!(2)))
        .size(16, 10);
    let bars = Panel::bars(
        "Mean of each hop, over the time shown",
        "s",
        "The same over the whole time shown: the longest bar is where an improvement pays most.",
    );
    let (stack, bars) = critical_path().into_iter().fold((stack, bars), |(stack, bars), (hop, series)| {
        let once = Target::once(hop.as_str(), series.mean_over("", "$__range"));
        (stack.query(hop.as_str(), series.mean("")), bars.target(once))
    });
    vec![stack.query("total", total().mean("")), bars.hop_colours().size(8, 10)]
}

fn single_messages() -> Vec<Panel> {
    let broadcast = metric(Job::Exemplars, "hopline_broadcast_seconds");
    let heat = Panel::heat(
        "broadcast: all messages",
        "How many messages took how long. Dots are single messages: click one to see its trace.",
    );
    let dots = Panel::durations(
        "broadcast: p99 and single messages",
        "Dots are single messages at their real height: click one to see its trace.",
    );
    vec![
        heat.target(Target::prometheus("{{le}}", broadcast.heat()).exemplars().heat()).size(12, 10),
        dots.target(Target::prometheus("p99", broadcast.percentile(99.0)).exemplars())
            .query("p50", broadcast.percentile(50.0))
            .colour(colours::of(Hop::Broadcast))
            .size(12, 10),
        traces(
            "Slow messages, as clients saw them",
            "Traces whose total took longer than the choice at the top. A click opens one.",
            Target::traces("hopline-loadtest", Some(Hop::Total.as_str())),
        ),
        traces(
            "Slow spans on servers",
            "Traces of which any one span on any server took longer than the choice at the top.",
            Target::traces("hopline", None),
        ),
    ]
}

fn traces(title: &str, description: &str, target: Target) -> Panel {
    Panel::table(title, "short", description)
        .target(target)
        .option("sortBy", json!([{ "displayName": "Duration", "desc": true }]))
        .with(colours::named("Trace ID", "links", &trace_links()))
        .size(12, 10)
}

/// From a trace's id to its picture, in Grafana and in Jaeger.
fn trace_links() -> Value {
    let explore = "/explore?schemaVersion=1&orgId=1&panes=%7B%22t%22:%7B%22datasource%22:%22jaeger%22,%22queries%22:%5B%7B\
        %22refId%22:%22A%22,%22query%22:%22${__value.raw}%22%7D%5D,%22range%22:%7B%22from%22:%22${__from}%22,\
        %22to%22:%22${__to}%22%7D%7D%7D";
    json!([
        { "title": "Show the trace in Jaeger", "url": "${jaeger}/trace/${__value.raw}", "targetBlank": true },
        { "title": "Show the trace here (editors)", "url": explore, "targetBlank": false },
    ])
}
