//! Subscribing never loses or repeats a message.

use hopline::protocol::{ClientFrame, ErrorCode, HistoryPage, ServerFrame};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Peer, fault, lab, lab_with, metric_reaches, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_exists_before_its_first_message() {
    let lab = lab_with(1, &[]).await;
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    assert_eq!(reader.subscribe("nothing-yet", Some(0)).await, (0, true, None));
    assert_eq!(Peer::connect(lab.addrs()[0], "alice").await.publish("nothing-yet", "first").await.seq, 1);
    reader.receives(1..=1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_comes_before_what_follows() {
    let lab = lab_with(2, &[]).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for _ in 0..10 {
        alice.publish("general", "x").await;
    }
    let mut reader = Peer::connect(lab.addrs()[1], "reader").await;
    assert_eq!(reader.subscribe("general", Some(4)).await, (10, true, None));
    alice.publish("general", "live").await;
    reader.receives(5..=11).await;
    let mut newcomer = Peer::connect(lab.addrs()[1], "newcomer").await;
    assert_eq!(newcomer.subscribe("general", None).await, (11, true, None));
    alice.publish("general", "live").await;
    newcomer.receives(12..=12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_and_go_under_load_see_each_message_once_and_in_order() {
    const MESSAGES: u64 = 3000;
    let lab = lab().await;
    let mut tasks = JoinSet::new();
    let first = lab.addrs()[0];
    tasks.spawn(async move {
        let mut alice = Peer::connect(first, "alice").await;
        for _ in 0..MESSAGES {
            alice.publish("hot", "x").await;
        }
    });
    for address in lab.addrs().into_iter().cycle().take(12) {
        tasks.spawn(async move {
            let mut seen = 0;
            while seen < MESSAGES {
                // A new connection each time, on from where the last one ended: after a few messages or all.
                let mut reader = Peer::connect(address, "reader").await;
                let (last_seq, recovered, _) = reader.subscribe("hot", Some(seen)).await;
                assert!(recovered && last_seq >= seen);
                let upto = (seen + 137).min(MESSAGES);
                reader.receives(seen + 1..=upto).await;
                seen = upto;
            }
        });
    }
    soon("the end of the load", async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_beyond_the_limit_is_not_recovered_and_can_be_paged_through() {
    let lab = lab_with(1, &["--recovered-max=5"]).await;
    let address = lab.addrs()[0];
    let mut alice = Peer::connect(address, "alice").await;
    for _ in 0..7 {
        alice.publish("general", "x").await;
    }
    let mut reader = Peer::connect(address, "reader").await;
    let (last_seq, recovered, history) = reader.subscribe("general", Some(1)).await;
    assert_eq!((last_seq, recovered), (7, false));
    let url = format!("http://{address}{}", history.expect("where the others are"));
    let page: HistoryPage = reqwest::get(url).await.unwrap().json().await.unwrap();
    let seqs: Vec<u64> = page.messages.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, [2, 3, 4, 5, 6, 7]);
    alice.publish("general", "live").await;
    reader.receives(8..=8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_channels_asked_for_at_once_are_all_recovered_by_a_client_that_keeps_reading() {
    const CHANNELS: usize = 20;
    const MISSED: u64 = 60;
    let lab = lab_with(1, &["--client-queue-max=64", "--recovered-max=60", "--outstanding-max=60"]).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for channel in 0..CHANNELS {
        for _ in 0..MISSED {
            alice.publish(&format!("channel-{channel}"), "x").await;
        }
    }
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    for channel in 0..CHANNELS {
        reader.0.subscribe(&format!("channel-{channel}"), Some(0), false).await.unwrap();
    }
    for _ in 0..CHANNELS {
        assert!(matches!(reader.next().await, ServerFrame::Subscribed { recovered: true, .. }));
        reader.receives(1..=MISSED).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_next_request_waits_for_room_still_gets_messages() {
    const MISSED: u64 = 60;
    let room = ["--client-queue-max=64", "--recovered-max=60", "--outstanding-max=60"];
    let flags = [&room[..], &["--body-bytes-max=30000", "--fault-switches"]].concat();
    let lab = lab_with(1, &flags).await;
    let server = lab.server("a");
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for channel in ["first", "second"] {
        for _ in 0..MISSED {
            alice.publish(channel, "x").await;
        }
    }
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    reader.subscribe("live", None).await;
    // The socket is busy with this one until the switch is cleared, so all that follows meets a full queue. Bodies of such
    // lengths tell what has come into it.
    fault(&server, &["delay", "send", "60000"]);
    let waiting =
        async |bytes| metric_reaches(server.admin_addr(), "hopline_send_queue_bytes", &[], bytes).await;
    alice.publish("live", &"x".repeat(1_000)).await;
    waiting(1_000.0).await;
    for channel in ["first", "second"] {
        reader.0.subscribe(channel, Some(0), false).await.unwrap();
    }
    waiting(6_000.0).await;
    alice.publish("live", &"x".repeat(30_000)).await;
    waiting(30_000.0).await;
    fault(&server, &["clear"]);
    reader.receives(1..=1).await;
    assert!(matches!(reader.next().await, ServerFrame::Subscribed { recovered: true, .. }));
    reader.receives(1..=MISSED).await;
    reader.receives(2..=2).await;
    assert!(matches!(reader.next().await, ServerFrame::Subscribed { recovered: true, .. }));
    reader.receives(1..=MISSED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_contradict_the_subscriptions_are_refused() {
    let lab = lab_with(1, &[]).await;
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    reader.subscribe("general", None).await;
    reader.0.subscribe("general", None, false).await.unwrap();
    reader.refused(ErrorCode::AlreadySubscribed).await;
    reader.0.subscribe("other", Some(1), false).await.unwrap();
    reader.refused(ErrorCode::AfterSeqAhead).await;
    reader.subscribe("other", Some(0)).await;
    reader.0.send(&ClientFrame::Unsubscribe { channel: "elsewhere".into() }).await.unwrap();
    reader.refused(ErrorCode::NotSubscribed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_unsubscribed_no_message_follows_and_subscribing_again_works() {
    let lab = lab_with(1, &[]).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    let mut witness = Peer::connect(lab.addrs()[0], "witness").await;
    reader.subscribe("general", None).await;
    witness.subscribe("general", None).await;
    reader.0.send(&ClientFrame::Unsubscribe { channel: "general".into() }).await.unwrap();
    assert!(matches!(reader.next().await, ServerFrame::Unsubscribed { .. }));
    alice.publish("general", "unheard").await;
    witness.receives(1..=1).await;
    reader.receives_nothing_more().await;
    assert_eq!(reader.subscribe("general", Some(0)).await, (1, true, None));
    reader.receives(1..=1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_subscribed_gets_its_own_message_too() {
    let lab = lab_with(1, &[]).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    alice.subscribe("general", None).await;
    alice.0.publish("general", Uuid::new_v4(), "mine").await.unwrap();
    let (mut acknowledged, mut delivered) = (false, false);
    for _ in 0..2 {
        match alice.next().await {
            ServerFrame::Ack(ack) => acknowledged = ack.seq == 1,
            ServerFrame::Message(message) => delivered = message.body == "mine",
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(acknowledged && delivered);
}
