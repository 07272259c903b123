//! Each client sees each channel in order, each message once, whatever the broker does.

use hopline::{
    broker::Envelope,
    hop::Origin,
    protocol::{Message, OriginStamps},
};
use hopline_loadtest::lab::{Broker, Lab};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::support::{Peer, database, lab, lab_with, metric, metric_reaches, publish};

/// Stores a message as a server would that never gets to publish it.
async fn commit(database: &mut PgConnection, body: &str) -> Message {
    let id = Uuid::now_v7();
    let append = "SELECT seq FROM append_messages('{general}', '{ghost}', $1, $1, $2, '{0}', '{NULL}')";
    let seq: i64 = sqlx::query_scalar(append).bind([id]).bind([body]).fetch_one(database).await.unwrap();
    Message {
        channel: "general".parse().unwrap(),
        seq: seq.cast_unsigned(),
        id,
        sender: "ghost".parse().unwrap(),
        client_message_id: id,
        body: body.into(),
        accepted_at_ms: 0,
        traceparent: None,
        timing: None,
    }
}

/// Brings envelopes to all servers, exactly so.
async fn broadcast(lab: &Lab, messages: &[&Message]) {
    let stamps = OriginStamps::committed(0, 0, 0);
    for message in messages {
        let envelope = Envelope::new("ghost".parse().unwrap(), stamps, (*message).clone());
        publish(lab, &message.channel, &envelope.encode()).await;
    }
}

fn origin(message: &Message) -> Origin {
    message.timing.expect("the subscription asked for timing").origin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_the_subscribers_of_every_server_through_the_broker_alone() {
    let lab = lab().await;
    let mut readers = Vec::new();
    for address in lab.addrs() {
        let mut reader = Peer::connect(address, "reader").await;
        reader.subscribe("general", None).await;
        readers.push(reader);
    }
    let ack = Peer::connect(lab.addrs()[0], "alice").await.publish("general", "hello").await;
    let mut origins = Vec::new();
    for reader in &mut readers {
        let message = reader.message().await;
        assert_eq!((message.seq, message.id, &*message.body), (1, ack.id, "hello"));
        let timing = message.timing.unwrap();
        let stamps = timing.stamps.unwrap();
        origins.push(timing.origin);
        assert!(stamps.accepted_us <= stamps.queued_us && stamps.queued_us <= stamps.committed_us);
        assert!(timing.received_us <= timing.handed_us);
    }
    // One server is who published it: its publisher's, or the one that relays the outbox.
    if lab.broker() == Broker::Kafka {
        origins.sort_by_key(|origin| *origin == Origin::Peer);
    }
    assert_eq!(origins, [Origin::Own, Origin::Peer, Origin::Peer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_order_and_repeated_broadcasts_are_delivered_in_order_and_once() {
    // No healing: what is delivered came from the broker.
    let lab = lab_with(2, &["--gap-patience-ms=60000", "--check-interval-ms=600000"]).await;
    let mut readers = Vec::new();
    for address in lab.addrs() {
        let mut reader = Peer::connect(address, "reader").await;
        reader.subscribe("general", None).await;
        readers.push(reader);
    }
    let mut database = database(&lab).await;
    let mut sent = Vec::new();
    for body in ["one", "two", "three", "four"] {
        sent.push(commit(&mut database, body).await);
    }
    let [one, two, three, four] = &sent[..] else { unreachable!() };
    broadcast(&lab, &[three, one, one, three, two, four, two, four]).await;
    for (reader, server) in readers.iter_mut().zip(lab.servers()) {
        for message in reader.receives(1..=4).await {
            assert_eq!(origin(&message), Origin::Peer);
        }
        metric_reaches(server.admin_addr(), "hopline_arrivals_total", &["duplicate"], 4.0).await;
        reader.receives_nothing_more().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_healed_from_the_database_with_the_sockets_open() {
    let lab = lab_with(2, &["--check-interval-ms=600000"]).await;
    let mut reader = Peer::connect(lab.addrs()[1], "reader").await;
    reader.subscribe("general", None).await;
    let mut database = database(&lab).await;
    commit(&mut database, "never broadcast").await;
    commit(&mut database, "nor this").await;
    let third = commit(&mut database, "broadcast").await;
    broadcast(&lab, &[&third]).await;
    let messages = reader.receives(1..=3).await;
    assert_eq!(
        messages.iter().map(origin).collect::<Vec<_>>(),
        [Origin::Healed, Origin::Healed, Origin::Peer]
    );
    assert_eq!(messages[0].body, "never broadcast");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_channel_has_not_reached_is_dropped_and_delivery_goes_on() {
    let lab = lab_with(1, &[]).await;
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    reader.subscribe("general", None).await;
    let mut database = database(&lab).await;
    let first = commit(&mut database, "first").await;
    for seq in [1_000_000, u64::MAX] {
        broadcast(&lab, &[&Message { seq, ..first.clone() }]).await;
    }
    reader.receives(1..=1).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    alice.publish("general", "second").await;
    let second = reader.receives(2..=2).await.remove(0);
    assert_eq!(second.body, "second");
    reader.receives_nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_the_newest_message_is_found_by_comparing_positions() {
    let lab = lab_with(2, &[]).await;
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    reader.subscribe("general", None).await;
    let mut database = database(&lab).await;
    commit(&mut database, "never broadcast").await;
    let message = reader.receives(1..=1).await.remove(0);
    assert_eq!((origin(&message), &*message.body), (Origin::Healed, "never broadcast"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_without_a_row_is_skipped_and_counted() {
    let lab = lab_with(1, &[]).await;
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    let mut database = database(&lab).await;
    commit(&mut database, "first").await;
    reader.subscribe("general", None).await;
    sqlx::query("UPDATE channels SET last_seq = last_seq + 3").execute(&mut database).await.unwrap();
    commit(&mut database, "behind the hole").await;
    assert_eq!(reader.message().await.seq, 5);
    let admin = lab.servers()[0].admin_addr();
    assert!((metric(admin, "hopline_skipped_numbers_total", &[]).await - 3.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_server_died_between_commit_and_publish_arrives_through_the_others() {
    let lab = lab_with(2, &[]).await;
    let doomed = lab.start_server("doomed", &["--fault-switches"]).await.unwrap();
    metric_reaches(doomed.admin_addr(), "hopline_broker_connected", &[], 1.0).await;
    let mut readers = Vec::new();
    for node in ["a", "b"] {
        let mut reader = Peer::connect(lab.server(node).public_addr(), "reader").await;
        reader.subscribe("general", None).await;
        readers.push(reader);
    }
    let mut alice = Peer::connect(doomed.public_addr(), "alice").await;
    alice.publish("general", "broadcast").await;
    for reader in &mut readers {
        assert_eq!(origin(&reader.receives(1..=1).await[0]), Origin::Peer);
    }
    doomed.switch_faults(&json!({ "delays": { "publish": { "delay_ms": 60_000 } } })).await.unwrap();
    let ack = alice.publish("general", "last words").await;
    doomed.kill();
    for reader in &mut readers {
        let last = reader.receives(2..=2).await.remove(0);
        assert_eq!((last.id, origin(&last)), (ack.id, Origin::Healed));
    }
}
