//! A collector that is away, silent or too slow costs spans, which are counted, and nothing else.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use hopline_loadtest::lab::{Lab, LabOptions};
use tokio::time::Instant;

use crate::support::{Peer, options, soon};

/// Far more than the queue below holds.
const MESSAGES: usize = 60;
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Ten spans may wait, and none for long.
const IMPATIENT: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
    ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
];

/// One server whose spans go to `endpoint`.
async fn lab_exporting_to(endpoint: &str, settings: &[(&str, &str)]) -> Lab {
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)].into_iter().chain(settings.iter().copied());
    let server_env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Lab::start(LabOptions { server_env, ..options(1, &[]) }).await.expect("the lab starts")
}

/// Six a message, all of them sampled.
const SPANS: f64 = 6.0 * MESSAGES as f64;

/// What became of a server's spans, at one moment.
async fn spans(admin: SocketAddr) -> [f64; 4] {
    let text = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    ["ended", "exported", "failed", "dropped"].map(|outcome| {
        let series = format!("hopline_spans_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
    })
}

async fn every_message_is_delivered(lab: &Lab) {
    let server = lab.server("a");
    let mut peer = Peer::connect(server.public_addr(), "alice").await;
    let mut reader = Peer::connect(server.public_addr(), "bob").await;
    reader.subscribe("spans", None).await;
    for _ in 0..MESSAGES {
        peer.publish("spans", "hello").await;
    }
    reader.receives(1..=MESSAGES as u64).await;
}

async fn stops_in_time(lab: &Lab) {
    let asked = Instant::now();
    assert!(lab.server("a").terminate().await.unwrap().success());
    assert!(asked.elapsed() < SHUTDOWN_LIMIT, "the shutdown took {:?}", asked.elapsed());
}

/// Every message is delivered, every span is accounted for, and the server stops in time.
async fn loses_spans_only(lab: &Lab) {
    every_message_is_delivered(lab).await;
    let admin = lab.server("a").admin_addr();
    soon("an end of all spans but the ten that may wait", async {
        loop {
            let [ended, exported, failed, dropped] = spans(admin).await;
            let gone = failed + dropped;
            assert!(
                ended <= SPANS && exported < 1.0 && gone <= ended,
                "{ended} {exported} {failed} {dropped}"
            );
            if ended >= SPANS && gone >= SPANS - 10.0 && failed >= 1.0 && dropped >= 1.0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    stops_in_time(lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_costs_spans_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    loses_spans_only(&lab_exporting_to(&endpoint, IMPATIENT).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_costs_spans_only() {
    // The kernel completes the handshake; no one ever reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    loses_spans_only(&lab_exporting_to(&endpoint, IMPATIENT).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_does_not_hold_up_the_shutdown_with_the_default_settings_either() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let lab = lab_exporting_to(&endpoint, &[]).await;
    every_message_is_delivered(&lab).await;
    stops_in_time(&lab).await;
    let said = lab.server("a").log();
    assert!(said.contains("the last spans were not exported"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_can_not_be_honoured_is_a_clear_error_at_the_start() {
    for (name, value) in [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_BSP_MAX_QUEUE_SIZE", "0")]
    {
        let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), (name, value)];
        let server_env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let failed = Lab::start(LabOptions { server_env, ..options(1, &[]) }).await;
        let said = format!("{:#}", failed.expect_err("the server does not start"));
        assert!(said.contains(name), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_none_is_a_clear_error_at_the_start() {
    let env = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "nowhere at all".to_owned())];
    let failed = Lab::start(LabOptions { server_env: env, ..options(1, &[]) }).await;
    let said = format!("{:#}", failed.expect_err("the server does not start"));
    assert!(said.contains("OTEL_"), "{said}");
}
