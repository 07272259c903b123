//! An outage of the broker costs latency, not delivery, and no socket is closed for it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hopline::protocol::ServerFrame;
use hopline_loadtest::lab::Lab;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use crate::support::{Peer, hear, lab, lab_with, metric, metric_reaches, soon};

/// Those of the load.
pub(crate) const CHANNELS: [&str; 6] = ["c0", "c1", "c2", "c3", "c4", "c5"];

/// Publishes 100 messages a second to a channel, one connection throughout, until it is told to stop;
/// returns how many were acknowledged.
async fn publish_until(address: SocketAddr, channel: &'static str, mut stop: watch::Receiver<bool>) -> u64 {
    let mut alice = Peer::connect(address, "alice").await;
    let mut pace = interval(Duration::from_millis(10));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut acknowledged = 0;
    while !*stop.borrow_and_update() {
        pace.tick().await;
        acknowledged = alice.publish(channel, "x").await.seq;
    }
    acknowledged
}

/// Reads a channel in order on one connection, until `upto` says how far it goes and that is reached.
async fn read_all(address: SocketAddr, channel: &'static str, mut upto: watch::Receiver<Option<u64>>) {
    let mut reader = Peer::connect(address, "reader").await;
    reader.subscribe(channel, Some(0)).await;
    let mut next = 1;
    loop {
        let last = *upto.borrow_and_update();
        if last.is_some_and(|last| next > last) {
            return;
        }
        tokio::select! {
            frame = reader.0.next_frame() => match frame.expect("the socket stays open") {
                ServerFrame::Message(message) => {
                    assert_eq!(message.seq, next, "in {channel}");
                    next += 1;
                }
                other => panic!("unexpected {other:?}"),
            },
            changed = upto.changed() => changed.unwrap(),
        }
    }
}

/// Loads all servers while `outage` goes on; nothing may be lost, repeated or reordered, and no socket closed.
pub(crate) async fn load_during(lab: Arc<Lab>, outage: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(false);
    let (mut publishers, mut readers, mut ends) = (JoinSet::new(), JoinSet::new(), Vec::new());
    for (number, channel) in CHANNELS.into_iter().enumerate() {
        let addrs = lab.addrs();
        let (end, upto) = watch::channel(None);
        for address in &addrs {
            readers.spawn(read_all(*address, channel, upto.clone()));
        }
        let publisher = publish_until(addrs[number % addrs.len()], channel, stopped.clone());
        publishers.spawn(async move { (number, publisher.await) });
        ends.push(end);
    }
    outage.await;
    stop.send_replace(true);
    while let Some(done) = publishers.join_next().await {
        let (number, acknowledged) = done.unwrap();
        assert!(acknowledged > 0);
        ends[number].send_replace(Some(acknowledged));
    }
    soon("the delivery of everything", async {
        while let Some(done) = readers.join_next().await {
            done.unwrap();
        }
    })
    .await;
}

/// How many messages all servers have healed.
pub(crate) async fn healed(lab: &Lab) -> f64 {
    let mut sum = 0.0;
    for server in lab.servers() {
        sum += metric(server.admin_addr(), "hopline_healed_messages_total", &[]).await;
    }
    sum
}

/// Whoever publishes there is heard by no one else.
const ELSEWHERE: [&str; 2] = ["--redis-topic=elsewhere", "--kafka-topic=elsewhere"];
/// How long the broker is away, in the middle of a load that goes on.
const OUTAGE: Duration = Duration::from_secs(5);

pub(crate) async fn passes(duration: Duration) {
    let mut seconds = interval(duration);
    seconds.tick().await;
    seconds.tick().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_seconds_without_the_broker_under_load_lose_nothing_and_close_nothing() {
    let lab = Arc::new(lab().await);
    let outage = async {
        passes(Duration::from_secs(1)).await;
        lab.backend().kill();
        passes(OUTAGE).await;
        assert!(healed(&lab).await > 100.0, "messages arrive during the outage");
        lab.backend().start().await.unwrap();
        hear(&lab).await;
        passes(Duration::from_secs(1)).await;
    };
    load_during(lab.clone(), outage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_is_noticed_by_its_heartbeat_and_healed_like_a_dead_one() {
    let lab = Arc::new(lab().await);
    let outage = async {
        passes(Duration::from_secs(1)).await;
        lab.backend().freeze();
        for server in lab.servers() {
            let labels = ["heartbeat"];
            metric_reaches(server.admin_addr(), "hopline_broker_losses_total", &labels, 1.0).await;
        }
        passes(Duration::from_secs(1)).await;
        lab.backend().thaw();
        hear(&lab).await;
    };
    load_during(lab.clone(), outage).await;
    assert!(healed(&lab).await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_seems_up_and_brings_nothing_is_given_up() {
    // Two servers that publish to topics of their own never hear one another.
    let lab = lab_with(0, &["--check-interval-ms=200"]).await;
    let speaker = lab.start_server("speaker", &ELSEWHERE).await.unwrap();
    let deaf = lab.start_server("deaf", &[]).await.unwrap();
    metric_reaches(deaf.admin_addr(), "hopline_broker_connected", &[], 1.0).await;
    let mut reader = Peer::connect(deaf.public_addr(), "reader").await;
    reader.subscribe("general", None).await;
    let mut alice = Peer::connect(speaker.public_addr(), "alice").await;
    let mut seq = 0;
    soon("the reconnection", async {
        while metric(deaf.admin_addr(), "hopline_broker_losses_total", &["deaf"]).await < 1.0 {
            seq += 1;
            alice.publish("general", "x").await;
            reader.receives(seq..=seq).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_servers_failure_to_publish_is_not_taken_for_deafness() {
    let lab = lab_with(1, &["--check-interval-ms=200"]).await;
    let mute = lab.start_server("mute", &ELSEWHERE).await.unwrap();
    let healthy = lab.server("a");
    let mut reader = Peer::connect(healthy.public_addr(), "reader").await;
    reader.subscribe("quiet", None).await;
    let mut alice = Peer::connect(mute.public_addr(), "alice").await;
    let mut bob = Peer::connect(healthy.public_addr(), "bob").await;
    let mut listener = Peer::connect(healthy.public_addr(), "listener").await;
    listener.subscribe("lively", None).await;
    for seq in 1..=8 {
        // The broker brings nothing of the one, which is found by comparison, and all of the other.
        alice.publish("quiet", "x").await;
        bob.publish("lively", "x").await;
        listener.receives(seq..=seq).await;
        reader.receives(seq..=seq).await;
    }
    let admin = healthy.admin_addr();
    assert!(metric(admin, "hopline_gaps_total", &["position"]).await > 1.0);
    assert!(metric(admin, "hopline_broker_losses_total", &["deaf"]).await < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_without_its_broker_serves_and_delivers_through_the_database() {
    let lab = lab_with(1, &[]).await;
    lab.backend().kill();
    let server = lab.start_server("late", &[]).await.unwrap();
    let mut reader = Peer::connect(server.public_addr(), "reader").await;
    reader.subscribe("general", None).await;
    let mut alice = Peer::connect(server.public_addr(), "alice").await;
    alice.0.publish("general", Uuid::new_v4(), "x").await.unwrap();
    assert!(matches!(alice.next().await, ServerFrame::Ack(_)));
    reader.receives(1..=1).await;
}
