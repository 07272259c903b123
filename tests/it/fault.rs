//! Faults that are switched on do what they say, and can't be switched where they are not allowed.

use std::{process::Command, time::Duration};

use hopline::{hop::Hop, protocol::ClientFrame};
use hopline_loadtest::traces::Receiver;
use reqwest::StatusCode;
use uuid::Uuid;

use crate::support::{Peer, fault, lab_traced, lab_with, metric, metric_reaches};

/// Far longer than any hop takes by itself, on a busy machine too.
const DELAY: Duration = Duration::from_millis(500);
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);

/// The duration of each hop of one message through one server, by its spans.
async fn hops_of_one_message(
    server: &hopline_loadtest::lab::Server,
    receiver: &Receiver,
) -> Vec<(Hop, Duration)> {
    let trace = format!("{:032x}", Uuid::new_v4().as_u128());
    let mut peer = Peer::connect(server.public_addr(), "alice").await;
    let channel = format!("c-{trace}");
    peer.subscribe(&channel, None).await;
    let publish = ClientFrame::Publish {
        channel,
        client_message_id: Uuid::new_v4(),
        body: "hello".into(),
        traceparent: Some(format!("00-{trace}-00f067aa0ba902b7-01")),
    };
    peer.0.send(&publish).await.unwrap();
    let id = opentelemetry::trace::TraceId::from_hex(&trace).unwrap();
    let whole =
        receiver.wait_until(ARRIVAL_LIMIT, |store| store.trace(id).filter(|trace| trace.spans().len() == 6));
    let trace = whole.await.expect("all six spans");
    let span = |name: &str| trace.named(name).next().unwrap().clone();
    let lasted = |name: &str| Duration::from_nanos(span(name).duration_ns());
    let broadcast = span("receive").start_ns - span("publish").start_ns;
    [Hop::Accept, Hop::Persist, Hop::Publish, Hop::Receive, Hop::Send]
        .map(|hop| (hop, lasted(hop.as_str())))
        .into_iter()
        .chain([(Hop::Broadcast, Duration::from_nanos(broadcast))])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_holds_messages_in_its_hop_and_in_no_other() {
    let receiver = Receiver::start().unwrap();
    // Nothing is to be healed meanwhile.
    let lab = lab_traced(1, &["--fault-switches", "--check-interval-ms=600000"], &receiver).await;
    let server = lab.server("a");
    for delayed in [Hop::Accept, Hop::Persist, Hop::Publish, Hop::Broadcast, Hop::Receive, Hop::Send] {
        fault(&server, &["clear"]);
        fault(&server, &["delay", delayed.as_str(), &DELAY.as_millis().to_string()]);
        for (hop, lasted) in hops_of_one_message(&server, &receiver).await {
            // A publish that waits has both not been acknowledged and not arrived.
            let overlaps = delayed == Hop::Publish && hop == Hop::Broadcast;
            let expected = hop == delayed || overlaps;
            assert_eq!(lasted >= DELAY, expected, "{delayed:?} delayed: {hop:?} lasted {lasted:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_delay_makes_messages_wait_for_one_another() {
    let lab = lab_with(1, &["--fault-switches"]).await;
    let server = lab.server("a");
    fault(&server, &["delay", "persist", "100", "--serial"]);
    let mut peer = Peer::connect(server.public_addr(), "alice").await;
    peer.subscribe("queue", None).await;
    for _ in 0..5 {
        peer.0.publish("queue", Uuid::new_v4(), "hello").await.unwrap();
    }
    let mut commits = Vec::new();
    while commits.len() < 5 {
        if let hopline::protocol::ServerFrame::Message(message) = peer.next().await {
            commits.push(message.timing.unwrap().stamps.unwrap().committed_us);
        }
    }
    let apart = (commits[4] - commits[0]) / 4;
    assert!(apart >= 90_000, "commits are {apart} µs apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stalled_subscriber_misses_is_healed_and_its_heartbeat_goes_on() {
    let lab = lab_with(1, &["--fault-switches", "--check-interval-ms=50"]).await;
    let server = lab.server("a");
    let mut peer = Peer::connect(server.public_addr(), "alice").await;
    peer.subscribe("stalled", None).await;
    fault(&server, &["stall"]);
    let ack = peer.publish("stalled", "hello").await;
    assert_eq!(peer.receives(1..=1).await[0].id, ack.id);
    assert!(metric(server.admin_addr(), "hopline_healed_messages_total", &[]).await >= 1.0);
    assert!(metric(server.admin_addr(), "hopline_broker_losses_total", &["heartbeat"]).await < 1.0);
    fault(&server, &["clear"]);
    metric_reaches(server.admin_addr(), "hopline_arrivals_total", &["duplicate"], 1.0).await;
    peer.receives_nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_heal_keeps_its_clients_waiting() {
    let lab = lab_with(1, &["--fault-switches", "--check-interval-ms=50"]).await;
    let server = lab.server("a");
    let mut peer = Peer::connect(server.public_addr(), "alice").await;
    peer.subscribe("lost", None).await;
    fault(&server, &["no-heal"]);
    fault(&server, &["lose", "1"]);
    peer.publish("lost", "hello").await;
    metric_reaches(server.admin_addr(), "hopline_position_checks_total", &["interval"], 3.0).await;
    peer.receives_nothing_more().await;
    fault(&server, &["clear"]);
    peer.receives(1..=1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_no_fault_can_be_switched() {
    let lab = lab_with(1, &[]).await;
    let admin = lab.server("a").admin_addr();
    let url = format!("http://{admin}/faults");
    assert_eq!(reqwest::get(&url).await.unwrap().status(), StatusCode::NOT_FOUND);
    let set = reqwest::Client::new().put(&url).json(&serde_json::json!({"lost_share": 1.0}));
    assert_eq!(set.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let command = Command::new(env!("CARGO_BIN_EXE_hopline"))
        .args(["fault", "--admin", &admin.to_string(), "lose", "1"])
        .output()
        .unwrap();
    assert_eq!(command.status.code(), Some(1));
    let said = String::from_utf8(command.stderr).unwrap();
    assert!(said.contains("--fault-switches"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_switched_is_refused_and_changes_nothing() {
    let lab = lab_with(1, &["--fault-switches"]).await;
    let url = format!("http://{}/faults", lab.server("a").admin_addr());
    for wrong in [
        serde_json::json!({"lost_share": 1.5}),
        serde_json::json!({"delays": {"total": {"delay_ms": 1}}}),
        serde_json::json!({"delays": {"send": {"delay_ms": 60_001}}}),
        serde_json::json!({"delays": {"lunch": {"delay_ms": 1}}}),
        serde_json::json!({"lose_everything": true}),
    ] {
        let refused = reqwest::Client::new().put(&url).json(&wrong).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let standing: hopline::fault::Switches = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(standing, hopline::fault::Switches::default());
}
