//! What is committed reaches Kafka, in order and whoever crashes, and from there every server.

use std::{
    collections::HashMap,
    process::{Command, Output},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hopline::{hop::Origin, protocol::ClientFrame};
use hopline_loadtest::{
    lab::{Backend, Broker, Lab, LabOptions, Server},
    traces::Receiver,
};
use opentelemetry::trace::TraceId;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    broker_loss::{healed, load_during, passes},
    support::{Peer, database, fault, hear, metric, metric_reaches, options, soon},
};

/// What Kafka is slow to bring is not found meanwhile.
const HEAL_NOTHING: &str = "--check-interval-ms=600000";
/// A machine on which much else goes on is not taken for an outage.
const PATIENT: [&str; 2] = ["--broker-heartbeat-ms=20000", "--publish-timeout-ms=10000"];
/// Nor for an overload.
const REFUSE_NOTHING: &str = "--persist-wait-max-ms=60000";

/// A lab whose servers hear Kafka. They serve before they do.
async fn lab(broker: Broker, servers: usize, args: &[&str]) -> Lab {
    started(LabOptions { broker, ..options(servers, args) }).await
}

async fn started(options: LabOptions) -> Lab {
    let lab = Lab::start(options).await.expect("the lab starts");
    hear(&lab).await;
    lab
}

async fn outbox_rows(lab: &Lab) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&mut database(lab).await).await.unwrap()
}

async fn is_emptied(lab: &Lab) {
    soon("an empty outbox", async { while outbox_rows(lab).await > 0 {} }).await;
}

/// The server that relays, and another one.
async fn relay_and_other(lab: &Lab) -> (Arc<Server>, Arc<Server>) {
    let servers = lab.servers();
    soon("a relay", async {
        loop {
            for (number, server) in servers.iter().enumerate() {
                if metric(server.admin_addr(), "hopline_outbox_relay", &[]).await > 0.0 {
                    return (server.clone(), servers[(number + 1) % servers.len()].clone());
                }
            }
        }
    })
    .await
}

/// How long single messages of a server wait in the outbox, one published when the one before has arrived.
async fn waits(server: &Server, channel: &str, count: u64) -> Duration {
    let mut reader = Peer::connect(server.public_addr(), "reader").await;
    reader.subscribe(channel, None).await;
    let mut alice = Peer::connect(server.public_addr(), "alice").await;
    let mut waited = Duration::ZERO;
    for seq in 1..=count {
        alice.publish(channel, "x").await;
        let message = reader.receives(seq..=seq).await.remove(0);
        let stamps = message.timing.unwrap().stamps.expect("Kafka brought it");
        waited += Duration::from_micros(stamps.published_us.unwrap() - stamps.committed_us);
    }
    waited
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_through_the_outbox_and_kafka_to_every_server_in_order() {
    let lab = lab(Broker::Kafka, 2, &[&[HEAL_NOTHING], &PATIENT[..]].concat()).await;
    let (relay, other) = relay_and_other(&lab).await;
    for (publisher, channel) in [(&relay, "red"), (&other, "blue")] {
        let mut at_the_relay = Peer::connect(relay.public_addr(), "reader").await;
        at_the_relay.subscribe(channel, None).await;
        let mut at_the_other = Peer::connect(other.public_addr(), "reader").await;
        at_the_other.subscribe(channel, None).await;
        let mut alice = Peer::connect(publisher.public_addr(), "alice").await;
        for seq in 1..=50 {
            assert_eq!(alice.publish(channel, "x").await.seq, seq);
        }
        // The relay is who published to Kafka: only for it are both ends of broadcast on one clock.
        for (reader, origin) in [(&mut at_the_relay, Origin::Own), (&mut at_the_other, Origin::Peer)] {
            let messages = reader.receives(1..=50).await;
            assert!(messages.iter().all(|message| message.timing.unwrap().origin == origin));
        }
    }
    is_emptied(&lab).await;
    assert!(healed(&lab).await < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_message_that_servers_can_be_told_to_take_fits_into_kafka() {
    let longest = ["--body-bytes-max=262144", "--frame-bytes-max=2097152", "--recovered-max=8"];
    let lab = lab(Broker::Kafka, 1, &[&longest[..], &PATIENT[..]].concat()).await;
    let mut alice = Peer::connect(lab.server("a").public_addr(), "alice").await;
    // Each of its characters is six in JSON.
    alice.publish("general", &"\u{1}".repeat(256 << 10)).await;
    is_emptied(&lab).await;
    let published = replayed(&lab, &["--from-offset=0"]);
    assert!(published.iter().any(|(_, _, channel, seq)| channel == "general" && *seq == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_on_any_server_wakes_the_relay() {
    let lab = lab(Broker::Kafka, 2, &[&[HEAL_NOTHING], &PATIENT[..]].concat()).await;
    let (relay, other) = relay_and_other(&lab).await;
    for (server, channel) in [(relay, "red"), (other, "blue")] {
        let waited = waits(&server, channel, 10).await;
        assert!(waited < Duration::from_secs(5), "10 messages waited {waited:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_written_the_outbox_is_looked_at_once_a_second() {
    let lab = lab(Broker::KafkaAsWritten, 1, &PATIENT).await;
    let waited = waits(&lab.server("a"), "red", 4).await;
    assert!(waited > Duration::from_secs(2), "4 messages waited {waited:?}");
    assert!(healed(&lab).await < 1.0, "the relay's turn is waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_dies_before_it_removes_what_it_sent_is_replaced_and_clients_see_it_once() {
    let lab = lab(Broker::Kafka, 2, &["--fault-switches"]).await;
    let (relay, other) = relay_and_other(&lab).await;
    let mut reader = Peer::connect(other.public_addr(), "reader").await;
    reader.subscribe("general", None).await;
    let mut alice = Peer::connect(other.public_addr(), "alice").await;
    alice.publish("general", "x").await;
    reader.receives(1..=1).await;
    is_emptied(&lab).await;

    fault(&relay, &["crash-after-publish"]);
    for seq in 2..=20 {
        assert_eq!(alice.publish("general", "x").await.seq, seq);
    }
    soon("the crash", relay.ended()).await.unwrap();
    metric_reaches(other.admin_addr(), "hopline_outbox_relay", &[], 1.0).await;
    is_emptied(&lab).await;
    alice.publish("general", "x").await;
    reader.receives(2..=21).await;
    metric_reaches(other.admin_addr(), "hopline_arrivals_total", &["duplicate"], 1.0).await;
    reader.receives_nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_seconds_without_kafka_under_load_lose_nothing_and_the_backlog_is_sent() {
    let lab = Arc::new(lab(Broker::Kafka, 3, &[REFUSE_NOTHING]).await);
    let outage = async {
        passes(Duration::from_secs(1)).await;
        lab.backend().kill();
        passes(Duration::from_secs(5)).await;
        assert!(healed(&lab).await > 100.0, "messages arrive during the outage");
        assert!(outbox_rows(&lab).await > 100, "what Kafka can't take stays");
        lab.backend().start().await.unwrap();
        for server in lab.servers() {
            metric_reaches(server.admin_addr(), "hopline_broker_connected", &[], 1.0).await;
        }
        passes(Duration::from_secs(1)).await;
    };
    load_during(lab.clone(), outage).await;
    is_emptied(&lab).await;
    let mut newest: HashMap<String, u64> = HashMap::new();
    for (_, _, channel, seq) in replayed(&lab, &["--from-offset=0"]) {
        let newest = newest.entry(channel).or_default();
        assert!(seq <= *newest + 1, "{seq} was published before the one behind {newest}");
        *newest = seq.max(*newest);
    }
    assert!(!newest.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_alone_can_not_reach_kafka_gives_way() {
    let lab = lab(Broker::Kafka, 0, &[]).await;
    let cut_off = lab.start_server("a", &["--kafka-brokers=127.0.0.1:1"]).await.unwrap();
    metric_reaches(cut_off.admin_addr(), "hopline_outbox_relay", &[], 1.0).await;
    let other = lab.start_server("b", &[]).await.unwrap();
    let mut alice = Peer::connect(cut_off.public_addr(), "alice").await;
    alice.publish("general", "x").await;
    metric_reaches(other.admin_addr(), "hopline_outbox_relay", &[], 1.0).await;
    is_emptied(&lab).await;
    soon("an end", async { while metric(cut_off.admin_addr(), "hopline_outbox_relay", &[]).await > 0.0 {} })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_outbox_and_how_long_is_told_until_nothing_waits() {
    let lab = lab(Broker::Kafka, 2, &[]).await;
    lab.backend().kill();
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for _ in 0..20 {
        alice.publish("general", "x").await;
    }
    // Whoever relays can't publish either, and gives way to the other one now and then.
    let told = async |gauge: &str| {
        let mut most = 0.0_f64;
        for server in lab.servers() {
            most = most.max(metric(server.admin_addr(), gauge, &[]).await);
        }
        most
    };
    soon("20 messages", async { while told("hopline_outbox_messages").await < 20.0 {} }).await;
    soon("a second", async { while told("hopline_outbox_age_seconds").await < 1.0 {} }).await;
    lab.backend().start().await.unwrap();
    is_emptied(&lab).await;
    for gauge in ["hopline_outbox_messages", "hopline_outbox_age_seconds"] {
        soon(gauge, async { while told(gauge).await > 0.0 {} }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_kafka_is_noticed_by_its_heartbeat_and_healed_like_a_dead_one() {
    let lab = Arc::new(lab(Broker::Kafka, 2, &[REFUSE_NOTHING]).await);
    let outage = async {
        passes(Duration::from_secs(1)).await;
        lab.backend().freeze();
        for server in lab.servers() {
            metric_reaches(server.admin_addr(), "hopline_broker_losses_total", &["heartbeat"], 1.0).await;
        }
        passes(Duration::from_secs(2)).await;
        lab.backend().thaw();
        for server in lab.servers() {
            metric_reaches(server.admin_addr(), "hopline_broker_connected", &[], 1.0).await;
        }
    };
    load_during(lab.clone(), outage).await;
    is_emptied(&lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_shut_down_hands_over_and_leaves_nothing_behind() {
    let lab = lab(Broker::Kafka, 2, &[]).await;
    let (relay, other) = relay_and_other(&lab).await;
    let mut reader = Peer::connect(other.public_addr(), "reader").await;
    reader.subscribe("general", None).await;
    let mut alice = Peer::connect(relay.public_addr(), "alice").await;
    for seq in 1..=20 {
        assert_eq!(alice.publish("general", "x").await.seq, seq);
    }
    assert!(relay.terminate().await.unwrap().success());
    reader.receives(1..=20).await;
    metric_reaches(other.admin_addr(), "hopline_outbox_relay", &[], 1.0).await;
    is_emptied(&lab).await;
}

/// `hopline replay` for a lab.
fn replay(lab: &Lab, args: &[&str]) -> Output {
    let Backend::Kafka(kafka) = lab.backend() else { panic!("the lab has no Kafka") };
    let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
    command.args(["replay", "--kafka-brokers", &kafka.address()]).args(args);
    command.output().expect("hopline runs")
}

/// What it prints of each message: partition, offset, channel and number.
fn replayed(lab: &Lab, args: &[&str]) -> Vec<(i64, i64, String, u64)> {
    let output = replay(lab, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let message = &line["message"];
        assert!(line["stamps"]["published_us"].as_u64() > Some(0));
        (
            line["partition"].as_i64().unwrap(),
            line["offset"].as_i64().unwrap(),
            message["channel"].as_str().unwrap().to_owned(),
            message["seq"].as_u64().unwrap(),
        )
    };
    String::from_utf8(output.stdout).unwrap().lines().map(line).collect()
}

fn seqs(replayed: &[(i64, i64, String, u64)], channel: &str) -> Vec<u64> {
    replayed.iter().filter(|line| line.2 == channel).map(|line| line.3).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_prints_what_was_published_from_an_offset_or_a_time_up_to_now() {
    let lab = lab(Broker::Kafka, 1, &PATIENT).await;
    assert_eq!(replayed(&lab, &["--from-offset=0"]), []);
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for _ in 0..10 {
        alice.publish("red", "x").await;
        alice.publish("blue", "x").await;
    }
    is_emptied(&lab).await;
    let all = replayed(&lab, &["--from-offset=0"]);
    assert_eq!(all.len(), 20);
    for channel in ["red", "blue"] {
        assert_eq!(seqs(&all, channel), (1..=10).collect::<Vec<_>>());
    }
    assert_eq!(replayed(&lab, &["--from-offset=0", "--channel=red"]).len(), 10);
    // Of what lies behind an offset, each partition has what it has.
    let later: Vec<_> = all.iter().filter(|line| line.1 >= 3).cloned().collect();
    assert_eq!(replayed(&lab, &["--from-offset=3"]).len(), later.len());

    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() + 1;
    let from_time = format!("--from-time={now_ms}");
    assert_eq!(replayed(&lab, &[&from_time]), []);
    assert_eq!(replayed(&lab, &["--from-time=2020-01-01T00:00:00Z"]).len(), 20);
    while SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() < now_ms {}
    alice.publish("red", "x").await;
    is_emptied(&lab).await;
    assert_eq!(seqs(&replayed(&lab, &[&from_time]), "red"), [11]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_names_all_that_is_wrong_with_its_flags() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
    command.args(["replay", "--from-offset=0", "--kafka-topic=a b"]).env_remove("KAFKA_BROKERS");
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{error}");
    assert!(error.contains("--kafka-brokers") && error.contains("--kafka-topic"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_leads_through_the_outbox() {
    let receiver = Receiver::start().unwrap();
    let env =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()), ("OTEL_BSP_SCHEDULE_DELAY", "50".into())];
    let options = LabOptions {
        broker: Broker::Kafka,
        server_env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..options(1, &PATIENT)
    };
    let lab = started(options).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    alice.subscribe("general", None).await;
    let publish = ClientFrame::Publish {
        channel: "general".into(),
        client_message_id: Uuid::new_v4(),
        body: "hello".into(),
        traceparent: Some(format!("00-{:032x}-00f067aa0ba902b7-01", 7)),
    };
    alice.0.send(&publish).await.unwrap();
    let id = TraceId::from(7_u128);
    let whole = receiver.wait_until(Duration::from_secs(20), |store| {
        store.trace(id).filter(|trace| trace.spans().len() == 7)
    });
    let names = || receiver.spans().into_iter().map(|span| span.name).collect::<Vec<_>>();
    let trace = whole.await.unwrap_or_else(|| panic!("seven spans are wanted: {:?}", names()));
    let span = |name: &str| trace.named(name).next().unwrap();
    for (name, parent) in [("outbox", "accept"), ("publish", "outbox"), ("receive", "publish")] {
        assert_eq!(span(name).parent_id, span(parent).span_id, "{name}");
    }
    assert_eq!(span("outbox").end_ns, span("publish").start_ns);
    let system = span("publish").attribute("messaging.system").unwrap();
    assert_eq!(system.as_text(), Some("kafka"));
}
