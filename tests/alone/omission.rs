//! No coordinated omission: what waits while a server stalls is in the percentiles, although nothing was answered.

use std::{net::SocketAddr, time::Duration};

use hopline_loadtest::lab::free_port;
use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    lab,
    load::{load, row},
};

const RATE: usize = 200;
const SECONDS: usize = 8;
const STALL: Duration = Duration::from_millis(500);
/// Of what the plan predicts.
const TOLERANCE: f64 = 0.05;

/// The percentile, given in tenths, that the plan predicts, in milliseconds: whatever is due during the stall waits for its end.
fn predicted_ms(per_mille: usize, stall_ms: f64, undisturbed_ms: f64) -> f64 {
    let interval_ms = 1_000.0 / RATE as f64;
    let mut latencies: Vec<f64> = (0..RATE * SECONDS)
        .map(|number| {
            // Half an interval: the stall begins anywhere between two messages.
            let into_stall_ms = (number as f64 + 0.5) * interval_ms;
            undisturbed_ms + (stall_ms - into_stall_ms).max(0.0)
        })
        .collect();
    latencies.sort_by(f64::total_cmp);
    let place = (latencies.len() * per_mille).div_ceil(1_000);
    latencies[place.clamp(1, latencies.len()) - 1]
}

/// Messages that the run has sent; none before it shows its metrics.
async fn sent(port: u16) -> f64 {
    let Ok(answer) = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await else {
        return 0.0;
    };
    let text = answer.text().await.unwrap();
    let count =
        text.lines().find_map(|line| line.strip_prefix("hopline_loadtest_messages_total{outcome=\"sent\"} "));
    count.expect("the metric").parse().unwrap()
}

/// How long a message of our own takes that is published now, in milliseconds.
async fn published_in_ms(server: SocketAddr) -> f64 {
    let start = Instant::now();
    let body = json!({ "client_message_id": Uuid::new_v4(), "body": "x", "sender": "witness" });
    let url = format!("http://{server}/v1/channels/witness/messages");
    let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    start.elapsed().as_secs_f64() * 1_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_in_the_percentiles_as_the_plan_predicts_and_a_closed_loop_hides_it() {
    // The server takes what stalls with it for a slow commit, and would refuse whatever came meanwhile.
    let patient = ["--broker-heartbeat-ms=5000", "--publish-timeout-ms=5000", "--persist-wait-max-ms=5000"];
    let (_alone, lab) = lab(1, &patient).await;
    let server = lab.server("a");
    let port = free_port().unwrap();
    let (rate, duration) = (format!("--rate={RATE}"), format!("--duration={SECONDS}"));
    let listen = format!("--metrics-listen=127.0.0.1:{port}");
    let flags = [
        &*rate,
        &duration,
        &listen,
        "--warm-up=0",
        "--channels=4",
        "--subscribers=4",
        "--publishers=4",
        "--body-bytes=50",
    ];
    let addrs = lab.addrs();
    let stall = async {
        let middle = (RATE * SECONDS / 2) as f64;
        while sent(port).await < middle {
            sleep(Duration::from_millis(20)).await;
        }
        server.freeze();
        let thaw = async {
            sleep(STALL).await;
            server.thaw();
        };
        // A server doesn't answer at once when it goes on, so a witness says how long it didn't.
        tokio::join!(published_in_ms(addrs[0]), thaw).0
    };
    let ((_, report), stall_ms) = tokio::join!(load(&addrs, &flags), stall);
    let figure = |measure: &str, name: &str| row(&report, measure)[name].as_f64().unwrap();
    for measure in ["total", "ack"] {
        let undisturbed_ms = figure(measure, "p50_ms");
        for (name, per_mille) in [("p99_ms", 990), ("p99_9_ms", 999), ("max_ms", 1_000)] {
            let (found, predicted) =
                (figure(measure, name), predicted_ms(per_mille, stall_ms, undisturbed_ms));
            assert!(
                (found / predicted - 1.0).abs() <= TOLERANCE,
                "{measure}, {name}: {found} instead of {predicted} ms"
            );
        }
    }
    for measure in ["service_total", "service_ack"] {
        let (found, predicted) = (figure(measure, "p99_ms"), predicted_ms(990, stall_ms, 0.0));
        assert!(found < predicted * 0.75, "{measure} shows the stall: {found} ms");
        let omitted = figure("total", "count") - figure(measure, "count");
        assert!(omitted > 80.0, "{measure} omits only {omitted} messages");
    }
}

#[test]
fn the_prediction_is_what_it_should_be() {
    // 100 of 1,600 messages wait, the longest for 497.5 ms, the seventeenth longest for 80 ms less.
    for (per_mille, expected) in [(1_000, 498.5), (990, 418.5), (500, 1.0)] {
        assert!((predicted_ms(per_mille, 500.0, 1.0) - expected).abs() < 0.1, "{per_mille}");
    }
}
