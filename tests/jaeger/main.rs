//! A message's trace in a real Jaeger: `make test-jaeger`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails where it stands")]

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Parser;
use hopline::protocol::{ClientFrame, ServerFrame};
use hopline_loadtest::{
    backends::JaegerApi,
    cli::Cli,
    client::Client,
    commands,
    exit::Exit,
    lab::{Jaeger, Lab, LabOptions, Prometheus},
    traces::{Span, Trace},
};
use opentelemetry::trace::TraceId;
use tokio::time::timeout;
use uuid::Uuid;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PATIENCE: Duration = Duration::from_secs(30);

/// From each server to each: what Jaeger draws between services. The message is published at `a`, and read at `b`.
const EDGES: [(&str, &str); 8] = [
    ("a accept", "a persist"),
    ("a persist", "a commit"),
    ("a persist", "a publish"),
    ("a publish", "a receive"),
    ("a publish", "b receive"),
    ("a publish", "c receive"),
    ("b receive", "b send"),
    ("a receive", "a send"),
];

async fn next(client: &mut Client) -> ServerFrame {
    timeout(PATIENCE, client.next_frame()).await.expect("a frame").unwrap()
}

async fn lab(servers: usize, env: &[(&str, String)]) -> Lab {
    let options = LabOptions {
        servers,
        server_binary: Some(PathBuf::from(env!("CARGO_BIN_EXE_hopline"))),
        server_env: env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..LabOptions::default()
    };
    Lab::start(options).await.expect("the lab starts")
}

async fn publish_and_read(lab: &Lab) {
    let [a, b] = ["a", "b"].map(|node| lab.server(node).public_addr());
    let mut readers = [Client::connect(a, "ann").await.unwrap(), Client::connect(b, "bob").await.unwrap()];
    for reader in &mut readers {
        reader.subscribe("traced", None, false).await.unwrap();
        assert!(matches!(next(reader).await, ServerFrame::Subscribed { .. }));
    }
    let mut publisher = Client::connect(a, "carol").await.unwrap();
    let publish = ClientFrame::Publish {
        channel: "traced".into(),
        client_message_id: Uuid::new_v4(),
        body: "hello".into(),
        traceparent: Some(format!("00-{TRACE}-00f067aa0ba902b7-01")),
    };
    publisher.send(&publish).await.unwrap();
    for reader in &mut readers {
        assert!(matches!(next(reader).await, ServerFrame::Message(_)));
    }
}

/// The trace, once Jaeger shows so many spans.
async fn trace_in(jaeger: &Jaeger, spans: usize) -> Trace {
    let (api, id) = (JaegerApi::new(&jaeger.url()), TraceId::from_hex(TRACE).unwrap());
    let whole = async {
        loop {
            match api.trace(id).await.unwrap() {
                Some(trace) if trace.spans().len() >= spans => return trace,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(PATIENCE, whole).await.expect("Jaeger shows the trace")
}

fn edges(trace: &Trace) -> BTreeSet<(String, String)> {
    let name = |span: &Span| format!("{} {}", span.source.instance, span.name);
    let edge = |span: &Span| Some((name(trace.span(span.parent_id)?), name(span)));
    trace.spans().iter().filter_map(edge).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_comes_back_from_jaeger_with_every_server_and_every_edge() {
    let jaeger = Jaeger::start().await.expect("Jaeger starts with our configuration");
    let env =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_endpoint()), ("OTEL_BSP_SCHEDULE_DELAY", "50".into())];
    let lab = lab(3, &env).await;
    publish_and_read(&lab).await;
    let trace = trace_in(&jaeger, EDGES.len() + 1).await;
    let expected: BTreeSet<_> = EDGES.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
    assert_eq!(edges(&trace), expected);
    for receive in trace.named("receive") {
        assert!(receive.links.iter().any(|link| link.span_id == receive.parent_id), "Jaeger keeps the link");
    }
    let page = reqwest::get(jaeger.url()).await.unwrap().text().await.unwrap();
    assert!(
        page.contains("/d/hopline-message-path?from=#{startTime"),
        "its pages lead back to Grafana: {page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jaeger_that_freezes_costs_spans_only() {
    let jaeger = Jaeger::start().await.unwrap();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_endpoint()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300".into()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20".into()),
    ];
    let lab = lab(3, &env).await;
    publish_and_read(&lab).await;
    trace_in(&jaeger, EDGES.len() + 1).await;
    jaeger.freeze();
    publish_and_read(&lab).await;
    let admin = lab.server("a").admin_addr();
    let failed = async { while spans(admin, "failed").await == 0.0 {} };
    timeout(PATIENCE, failed).await.expect("the loss is counted");
    let asked = Instant::now();
    assert!(lab.server("a").terminate().await.unwrap().success());
    assert!(asked.elapsed() < Duration::from_secs(5), "the shutdown took {:?}", asked.elapsed());
}

/// What the doctor finds: what it looked at, and whether that is well.
async fn examine(lab: &Lab, prometheus: &str, jaeger: &str) -> (Exit, Vec<(String, String)>) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor.json");
    let servers = lab.addrs().iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let cli = Cli::parse_from([
        "hopline-loadtest",
        "doctor",
        "--compose",
        &format!("--server={servers}"),
        &format!("--prometheus={prometheus}"),
        &format!("--jaeger={jaeger}"),
        "--grafana=http://127.0.0.1:1",
        &format!("--json={}", file.display()),
    ]);
    let exit = commands::execute(cli.command).await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    (exit, findings.map(|finding| (text(finding, "what"), text(finding, "health"))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_everything_well_but_what_is_not_there() {
    let jaeger = Jaeger::start().await.unwrap();
    let lab = lab(3, &[("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_endpoint())]).await;
    let prometheus = Prometheus::start(&lab, None).await.unwrap();
    prometheus.scraped().await.unwrap();
    // The second time every series is there already, and only one that grows shows that messages are counted.
    for _ in 0..2 {
        let (exit, findings) = examine(&lab, &prometheus.url(), &jaeger.url()).await;
        assert_eq!(exit, Exit::Environment);
        assert_eq!(findings.len(), 3 + 4 + 3);
        for (what, health) in findings {
            assert_eq!(health, if what.contains("Grafana") { "bad" } else { "good" }, "{what}");
        }
    }
}

/// Spans of a server with this outcome.
async fn spans(admin: SocketAddr, outcome: &str) -> f64 {
    let text = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    let series = format!("hopline_spans_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
}
