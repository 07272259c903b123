//! What Prometheus makes of a load: every panel of every dashboard has data, and exemplars lead to traces.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use hopline_loadtest::{
    backends::PrometheusApi,
    cli::Cli,
    commands,
    lab::{Broker, Lab, Prometheus, free_port},
    traces::Receiver,
};
use opentelemetry::trace::TraceId;

use crate::support::{
    dashboard::{Query, queries},
    hear, lab_over, lab_traced, soon,
};

/// Panels that are empty while all is well, or before a connection has ended.
const EMPTY_WHEN_HEALTHY: [(&str, &str); 2] =
    [("message-path.json", "Alerts"), ("servers.json", "Lifetime of connections")];
/// Longer than any of the checks takes: the load ends with the test.
const LOAD_SECONDS: &str = "120";
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);

/// A load on the lab's servers, with metrics at `metrics` and a tenth of its messages traced.
async fn load(lab: &Lab, metrics: SocketAddr, receiver: &Receiver) {
    let target: Vec<String> = lab.addrs().iter().map(ToString::to_string).collect();
    let cli = Cli::parse_from([
        "hopline-loadtest",
        "run",
        "--target",
        &target.join(","),
        "--rate=100",
        "--duration",
        LOAD_SECONDS,
        "--warm-up=0",
        "--channels=10",
        "--subscribers=30",
        "--publishers=6",
        "--metrics-listen",
        &metrics.to_string(),
        "--otlp-endpoint",
        &receiver.endpoint(),
    ]);
    let ended = commands::execute(cli.command).await;
    panic!("the load ended before the checks did: {ended:?}");
}

fn may_be_empty(query: &Query) -> bool {
    EMPTY_WHEN_HEALTHY.iter().any(|(dashboard, panel)| query.dashboard == *dashboard && query.panel == *panel)
}

/// Whether a panel is about the outbox, which only Kafka is fed from.
fn is_about_the_outbox(query: &Query) -> bool {
    query.expr.contains("outbox")
}

/// Waits until each of these panels has a number.
async fn have_data(prometheus: &Prometheus, panels: impl Fn(&Query) -> bool) {
    let queries: Vec<Query> = queries().into_iter().filter(panels).collect();
    assert!(!queries.is_empty());
    for query in queries {
        let what = format!("{}: {}: data for {}", query.dashboard, query.panel, query.expr);
        soon(&what, async {
            let expr = query.expanded("10s", "1m");
            while !prometheus.api().query(&expr).await.unwrap().iter().any(|sample| sample.value.is_finite())
            {
                prometheus.scraped().await.unwrap();
            }
        })
        .await;
    }
}

/// Every query for exemplars finds some, and the newest trace of each has been received.
async fn exemplars_lead_to_traces(api: &PrometheusApi, receiver: &Receiver) {
    let asking: Vec<Query> = queries().into_iter().filter(|query| query.exemplars).collect();
    assert!(!asking.is_empty());
    for query in asking {
        let expr = query.expanded("10s", "1m");
        let exemplars = api.exemplars(&expr).await.unwrap();
        let newest = exemplars.last().unwrap_or_else(|| panic!("{}: no exemplars: {expr}", query.panel));
        let id = TraceId::from_hex(&newest.labels["trace_id"]).unwrap();
        let trace = receiver.wait_until(ARRIVAL_LIMIT, |store| store.trace(id)).await;
        assert!(trace.is_some(), "{}: there is no trace {id}", query.panel);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_data_under_load_and_exemplars_lead_to_traces() {
    let receiver = Receiver::start().unwrap();
    let lab = lab_traced(3, &[], &receiver).await;
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let prometheus = Prometheus::start(&lab, Some(metrics)).await.expect("Prometheus starts");
    let checks = async {
        have_data(&prometheus, |query| !may_be_empty(query) && !is_about_the_outbox(query)).await;
        exemplars_lead_to_traces(prometheus.api(), &receiver).await;
    };
    tokio::select! {
        () = load(&lab, metrics, &receiver) => {}
        () = checks => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outboxs_panels_have_data_over_kafka() {
    let receiver = Receiver::start().unwrap();
    let lab = lab_over(Broker::Kafka, 2).await;
    hear(&lab).await;
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let prometheus = Prometheus::start(&lab, Some(metrics)).await.expect("Prometheus starts");
    tokio::select! {
        () = load(&lab, metrics, &receiver) => {}
        () = have_data(&prometheus, is_about_the_outbox) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_a_rule_names_is_listed() {
    let listed = crate::support::document::read("TELEMETRY.md");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("observability/prometheus/rules");
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for name in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':') {
            if !name.starts_with("hopline_") {
                continue;
            }
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
            assert!(listed.contains(&format!("`{base}`")), "docs/TELEMETRY.md does not list {base}");
        }
    }
}
