//! What each broker brings to a server, and what it doesn't.

use std::collections::BTreeSet;

use hopline_loadtest::lab::{Broker, Lab};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::{Peer, lab_over, metric, soon};

/// The topics that servers of the lab are subscribed to.
async fn topics(lab: &Lab) -> Vec<String> {
    let client = redis::Client::open(lab.redis_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("PUBSUB").arg("CHANNELS").query_async(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_topic_for_each_channel_a_server_gets_what_its_clients_want() {
    let lab = lab_over(Broker::RedisChannels, 2).await;
    let [a, b] = ["a", "b"].map(|node| lab.server(node));
    let mut one = Peer::connect(a.public_addr(), "one").await;
    one.subscribe("red", None).await;
    let mut other = Peer::connect(b.public_addr(), "other").await;
    other.subscribe("blue", None).await;
    let mut alice = Peer::connect(a.public_addr(), "alice").await;
    for seq in 1..=20 {
        alice.publish("red", "x").await;
        alice.publish("blue", "x").await;
        one.receives(seq..=seq).await;
        other.receives(seq..=seq).await;
    }
    for server in [a, b] {
        let admin = server.admin_addr();
        assert!(metric(admin, "hopline_arrivals_total", &["unwatched"]).await < 1.0);
        let (own, all) = (
            metric(admin, "hopline_arrivals_total", &["in_order"]).await,
            metric(admin, "hopline_healed_messages_total", &[]).await,
        );
        assert!((own - 20.0).abs() < 0.5 && all < 1.0, "{own} came in, {all} were healed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_goes_with_the_last_client_and_comes_back_with_the_next_one() {
    let lab = lab_over(Broker::RedisChannels, 1).await;
    let address = lab.addrs()[0];
    let mut reader = Peer::connect(address, "reader").await;
    let mut alice = Peer::connect(address, "alice").await;
    let mut seq = 0;
    for _ in 0..2 {
        reader.subscribe("red", None).await;
        assert_eq!(topics(&lab).await, [format!("{}:red", lab.redis_topic())]);
        alice.publish("red", "x").await;
        seq += 1;
        reader.receives(seq..=seq).await;
        reader.unsubscribe("red").await;
        soon("the end of the subscription", async { while !topics(&lab).await.is_empty() {} }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_thousands_of_joins_and_leaves_a_server_is_subscribed_to_what_its_clients_want() {
    let lab = lab_over(Broker::RedisChannels, 1).await;
    let mut clients = Vec::new();
    for number in 0..8 {
        clients.push((
            Peer::connect(lab.addrs()[0], &format!("client-{number}")).await,
            BTreeSet::<String>::new(),
        ));
    }
    let mut random = StdRng::seed_from_u64(6);
    for turn in 0..4_000 {
        let (client, joined) = &mut clients[turn % 8];
        // Half of the turns leave, once there is enough to leave.
        let oldest = if joined.len() > 40 { joined.first().cloned() } else { None };
        if let Some(channel) = oldest {
            client.unsubscribe(&channel).await;
            joined.remove(&channel);
        } else {
            let channel = format!("channel-{}", random.random_range(0..10_000));
            if joined.insert(channel.clone()) {
                client.subscribe(&channel, None).await;
            }
        }
    }
    let wanted: BTreeSet<String> = clients
        .iter()
        .flat_map(|(_, joined)| joined.iter().map(|channel| format!("{}:{channel}", lab.redis_topic())))
        .collect();
    assert!(wanted.len() > 200, "{}", wanted.len());
    soon("what has lingered to end", async {
        while topics(&lab).await.into_iter().collect::<BTreeSet<_>>() != wanted {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_join_as_fast_as_ever_without_redis_and_get_their_topics_when_it_is_back() {
    let lab = lab_over(Broker::RedisChannels, 1).await;
    let server = lab.server("a");
    lab.redis().kill();
    soon("the loss of Redis", async {
        while metric(server.admin_addr(), "hopline_broker_connected", &[]).await > 0.0 {}
    })
    .await;
    let mut readers = Vec::new();
    // Together more than requests for topics may wait.
    soon("all to have joined", async {
        for name in ["one", "two"] {
            let mut reader = Peer::connect(server.public_addr(), name).await;
            for number in 0..800 {
                reader.subscribe(&format!("{name}-{number}"), None).await;
            }
            readers.push(reader);
        }
    })
    .await;
    lab.redis().start().await.unwrap();
    soon("all topics", async { while topics(&lab).await.len() < 1600 {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_server_needs_no_redis() {
    let lab = lab_over(Broker::Local, 1).await;
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    reader.subscribe("red", None).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for seq in 1..=20 {
        alice.publish("red", "x").await;
        reader.receives(seq..=seq).await;
    }
    let admin = lab.servers()[0].admin_addr();
    assert!(metric(admin, "hopline_healed_messages_total", &[]).await < 1.0);
    assert!(metric(admin, "hopline_broker_connected", &[]).await > 0.0);
}
