//! A collector that is away, silent or too slow costs spans, which are counted, and nothing else.

use std::{net::TcpListener, time::Duration};

use hopline_loadtest::lab::{Lab, LabOptions};
use tokio::time::Instant;

use crate::support::{Peer, metric, metric_reaches, options};

/// Far more than the queue below holds.
const MESSAGES: usize = 60;
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// One server whose spans go to `endpoint`, ten of them may wait, and none for long.
async fn lab_exporting_to(endpoint: &str) -> Lab {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
    ];
    let server_env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Lab::start(LabOptions { server_env, ..options(1, &[]) }).await.expect("the lab starts")
}

/// Every message is delivered, every span is accounted for, and the server stops in time.
async fn loses_spans_only(lab: &Lab) {
    let server = lab.server("a");
    let mut peer = Peer::connect(server.public_addr(), "alice").await;
    let mut reader = Peer::connect(server.public_addr(), "bob").await;
    reader.subscribe("spans", None).await;
    for _ in 0..MESSAGES {
        peer.publish("spans", "hello").await;
    }
    reader.receives(1..=MESSAGES as u64).await;
    let admin = server.admin_addr();
    metric_reaches(admin, "hopline_spans_total", &["failed"], 1.0).await;
    metric_reaches(admin, "hopline_spans_total", &["dropped"], 1.0).await;
    // Six spans a message, all of them sampled; at most ten wait.
    let ended = metric(admin, "hopline_spans_total", &["ended"]).await;
    let gone = metric(admin, "hopline_spans_total", &["failed"]).await
        + metric(admin, "hopline_spans_total", &["dropped"]).await;
    assert!(ended >= 6.0 * MESSAGES as f64);
    assert!((ended - 10.0..=ended).contains(&gone), "{ended} ended, {gone} failed or dropped");
    assert!(metric(admin, "hopline_spans_total", &["exported"]).await < 1.0);
    let asked = Instant::now();
    assert!(server.terminate().await.unwrap().success());
    assert!(asked.elapsed() < SHUTDOWN_LIMIT, "the shutdown took {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_costs_spans_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    loses_spans_only(&lab_exporting_to(&endpoint).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_costs_spans_only() {
    // The kernel completes the handshake; no one ever reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    loses_spans_only(&lab_exporting_to(&endpoint).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_none_is_a_clear_error_at_the_start() {
    let env = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "nowhere at all".to_owned())];
    let failed = Lab::start(LabOptions { server_env: env, ..options(1, &[]) }).await;
    let said = format!("{:#}", failed.expect_err("the server does not start"));
    assert!(said.contains("OTEL_"), "{said}");
}
