//! A client that does not read is closed with its code, harms no one, and recovers by number.

use hopline::protocol::{CloseCode, ServerFrame};
use uuid::Uuid;

use crate::support::{Peer, lab_with, metric, metric_reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_closed_and_recovers_while_the_others_get_everything() {
    const BODY_BYTES: usize = 4000;
    let lab = lab_with(1, &["--client-queue-max=64", "--recovered-max=63"]).await;
    let (address, admin) = (lab.addrs()[0], lab.servers()[0].admin_addr());
    let mut slow = Peer::connect(address, "slow").await;
    slow.subscribe("general", None).await;
    let mut witness = Peer::connect(address, "witness").await;
    witness.subscribe("general", None).await;
    let mut alice = Peer::connect(address, "alice").await;
    let body = "x".repeat(BODY_BYTES);
    let mut sent = 0;
    // Until the kernel's buffers and the client's queue are full.
    while metric(admin, "hopline_connections_closed_total", &["slow_client"]).await < 1.0 {
        for _ in 0..32 {
            alice.publish("general", &body).await;
            sent += 1;
            witness.receives(sent..=sent).await;
        }
    }
    let mut seen = 0;
    let closed = loop {
        match slow.0.next_frame().await {
            Ok(ServerFrame::Message(message)) => {
                assert_eq!(message.seq, seen + 1);
                seen = message.seq;
            }
            Ok(other) => panic!("unexpected {other:?}"),
            Err(hopline_loadtest::client::ClientError::Closed(closed)) => break closed,
            Err(error) => panic!("{error}"),
        }
    };
    // The code itself may not have fitted into a socket that took nothing more.
    assert!(closed.code.is_none_or(|code| code == CloseCode::SlowClient.number()), "{closed:?}");
    assert!(seen < sent);
    let mut again = Peer::connect(address, "slow").await;
    while seen < sent {
        let (last_seq, recovered, _) =
            again.subscribe("general", Some(seen.max(sent.saturating_sub(63)))).await;
        assert!(recovered);
        again.receives(seen.max(sent.saturating_sub(63)) + 1..=last_seq).await;
        seen = last_seq;
    }
    metric_reaches(admin, "hopline_dropped_total", &["slow_client"], 1.0).await;
    alice.0.publish("general", Uuid::new_v4(), "still here").await.unwrap();
    assert!(matches!(alice.next().await, ServerFrame::Ack(_)));
}
