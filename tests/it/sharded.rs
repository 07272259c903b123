//! Partitions of the channels on a Redis Cluster: what comes in, and what becomes of it when the cluster changes.

use std::{sync::Arc, time::Duration};

use hopline::hop::Origin;
use hopline_loadtest::lab::{Broker, Lab, LabOptions, Redis};
use tokio::join;
use uuid::Uuid;

use crate::{
    broker_loss::{CHANNELS, healed, load_during, passes},
    support::{Peer, lab_over, metric, metric_reaches, options, partition, soon, topic},
};

async fn sharded(servers: usize) -> Lab {
    lab_over(Broker::RedisSharded, servers).await
}

/// Another channel than `red` that shares its partition, and one that does not.
fn neighbours(red: &str) -> (String, String) {
    let mut names = (0..).map(|number| format!("channel-{number}"));
    let same = names.find(|name| partition(name) == partition(red)).unwrap();
    let other = names.find(|name| partition(name) != partition(red)).unwrap();
    (same, other)
}

/// The topics that servers of the lab are subscribed to, on all nodes.
async fn topics(lab: &Lab) -> Vec<String> {
    let mut topics = Vec::new();
    for node in lab.cluster().nodes() {
        let client = redis::Client::open(node.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let command = redis::cmd("PUBSUB").arg("SHARDCHANNELS").to_owned();
        topics.extend(command.query_async::<Vec<String>>(&mut connection).await.unwrap());
    }
    topics
}

/// A channel of the load that another master has than the one of the first.
async fn elsewhere(lab: &Lab) -> &'static str {
    let first = lab.cluster().master_of(&topic(lab, CHANNELS[0])).await.unwrap();
    for channel in CHANNELS {
        if !std::ptr::eq(lab.cluster().master_of(&topic(lab, channel)).await.unwrap(), first) {
            return channel;
        }
    }
    panic!("one master has all channels of the load");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_gets_the_partitions_that_its_clients_want() {
    let lab = sharded(2).await;
    let [a, b] = ["a", "b"].map(|node| lab.server(node));
    let (same, other) = neighbours("red");
    let mut one = Peer::connect(a.public_addr(), "one").await;
    one.subscribe("red", None).await;
    let mut two = Peer::connect(b.public_addr(), "two").await;
    two.subscribe(&other, None).await;
    let mut alice = Peer::connect(b.public_addr(), "alice").await;
    for seq in 1..=20 {
        alice.publish("red", "x").await;
        alice.publish(&other, "x").await;
        one.receives(seq..=seq).await;
        two.receives(seq..=seq).await;
    }
    alice.publish(&same, "x").await;
    metric_reaches(a.admin_addr(), "hopline_arrivals_total", &["unwatched"], 1.0).await;
    for (server, unwatched) in [(a, 1.0), (b, 0.0)] {
        let admin = server.admin_addr();
        let arrivals = |outcome| metric(admin, "hopline_arrivals_total", outcome);
        let (in_order, others) = join!(arrivals(&["in_order"]), arrivals(&["unwatched"]));
        assert!((in_order - 20.0).abs() < 0.5 && (others - unwatched).abs() < 0.5, "{in_order}, {others}");
    }
    assert!(healed(&lab).await < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_goes_with_the_last_client_of_its_channels_and_comes_back_with_the_next_one() {
    let lab = sharded(1).await;
    let (same, other) = neighbours("red");
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for seq in 1..=2 {
        for channel in ["red", &same, &other] {
            reader.subscribe(channel, None).await;
        }
        for channel in ["red", &other] {
            reader.unsubscribe(channel).await;
        }
        // Were the first one's partition to end as well, it would have ended by then.
        soon("the end of the other partition", async { while topics(&lab).await.len() > 1 {} }).await;
        assert_eq!(topics(&lab).await, [topic(&lab, "red")]);
        alice.publish(&same, "x").await;
        reader.receives(seq..=seq).await;
        reader.unsubscribe(&same).await;
        soon("the end of the partition", async { while !topics(&lab).await.is_empty() {} }).await;
    }
    assert!(healed(&lab).await < 1.0);
    assert!(metric(lab.servers()[0].admin_addr(), "hopline_broker_losses_total", &[]).await < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_master_holds_up_no_other_one() {
    // What goes to the frozen one waits a second for its answer, and the loss is noticed later than that.
    let args = ["--broker-heartbeat-ms=2000", "--publish-timeout-ms=5000"];
    let options = LabOptions { broker: Broker::RedisSharded, ..options(2, &args) };
    let lab = Lab::start(options).await.unwrap();
    let elsewhere = elsewhere(&lab).await;
    let [a, b] = ["a", "b"].map(|node| lab.server(node));
    let mut reader = Peer::connect(a.public_addr(), "reader").await;
    reader.subscribe(elsewhere, None).await;
    let mut alice = Peer::connect(b.public_addr(), "alice").await;
    lab.cluster().master_of(&topic(&lab, CHANNELS[0])).await.unwrap().freeze();
    for seq in 1..=20 {
        // Together, so that they are in one batch.
        for channel in [CHANNELS[0], elsewhere] {
            alice.0.publish(channel, Uuid::new_v4(), "x").await.unwrap();
        }
        let timing = reader.receives(seq..=seq).await[0].timing.unwrap();
        assert_eq!(timing.origin, Origin::Peer);
        let waited_us = timing.received_us - timing.stamps.unwrap().committed_us;
        assert!(waited_us < 500_000, "{waited_us} µs");
    }
}

/// Waits until no server misses any partition, and then for a second in which nothing is healed.
async fn all_is_well_again(lab: &Lab) {
    for server in lab.servers() {
        metric_reaches(server.admin_addr(), "hopline_broker_connected", &[], 1.0).await;
    }
    // What was published before is found by the comparison that follows.
    passes(Duration::from_secs(1)).await;
    let before = healed(lab).await;
    passes(Duration::from_secs(1)).await;
    assert!(healed(lab).await - before < 1.0, "all comes through the cluster");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_dies_under_load_is_replaced_and_nothing_is_lost() {
    let lab = Arc::new(sharded(3).await);
    let topic = topic(&lab, CHANNELS[0]);
    let outage = async {
        passes(Duration::from_secs(1)).await;
        let dead: &Redis = lab.cluster().master_of(&topic).await.unwrap();
        dead.kill();
        for server in lab.servers() {
            metric_reaches(server.admin_addr(), "hopline_broker_losses_total", &[], 1.0).await;
        }
        all_is_well_again(&lab).await;
        assert!(!std::ptr::eq(lab.cluster().master_of(&topic).await.unwrap(), dead));
    };
    load_during(lab.clone(), outage).await;
    assert!(healed(&lab).await > 0.0, "messages arrived meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_under_load_is_followed_and_nothing_is_lost() {
    let lab = Arc::new(sharded(3).await);
    let topic = topic(&lab, CHANNELS[0]);
    let change = async {
        passes(Duration::from_secs(1)).await;
        lab.cluster().move_slot_of(&topic).await.unwrap();
        for server in lab.servers() {
            metric_reaches(server.admin_addr(), "hopline_broker_losses_total", &["moved"], 1.0).await;
        }
        all_is_well_again(&lab).await;
    };
    load_during(lab.clone(), change).await;
}
