//! A client that does not read is closed with its code, harms no one, and recovers by number.

use std::net::SocketAddr;

use hopline::protocol::{CloseCode, HistoryPage, ServerFrame};
use uuid::Uuid;

use crate::support::{Peer, lab_with, metric, metric_reaches, soon};

/// Messages that one reads and another one does not.
struct Flood {
    slow: Peer,
    witness: Peer,
    alice: Peer,
    sent: u64,
}

impl Flood {
    async fn begin(address: SocketAddr) -> Self {
        let mut slow = Peer::connect(address, "slow").await;
        slow.subscribe("general", None).await;
        let mut witness = Peer::connect(address, "witness").await;
        witness.subscribe("general", None).await;
        Self { slow, witness, alice: Peer::connect(address, "alice").await, sent: 0 }
    }

    /// Publishes until the kernel's buffers and the client's queue are full.
    async fn until_closed(&mut self, admin: SocketAddr, body_bytes: usize, sent_bytes_max: u64) {
        let body = "x".repeat(body_bytes);
        while metric(admin, "hopline_connections_closed_total", &["slow_client"]).await < 1.0 {
            for _ in 0..32 {
                self.alice.publish("general", &body).await;
                self.sent += 1;
                self.witness.receives(self.sent..=self.sent).await;
            }
            let sent_bytes = self.sent * body.len() as u64;
            assert!(sent_bytes < sent_bytes_max, "a client that doesn't read was not closed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_closed_and_recovers_while_the_others_get_everything() {
    const BODY_BYTES: usize = 4000;
    let lab = lab_with(1, &["--client-queue-max=64", "--recovered-max=63"]).await;
    let (address, admin) = (lab.addrs()[0], lab.servers()[0].admin_addr());
    let mut flood = Flood::begin(address).await;
    flood.until_closed(admin, BODY_BYTES, u64::MAX).await;
    let mut slow = flood.slow;
    let (mut alice, sent) = (flood.alice, flood.sent);
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
    let (last_seq, recovered, history) = again.subscribe("general", Some(seen)).await;
    assert_eq!((last_seq, recovered), (sent, false), "a full queue is more than is recovered");
    let mut next = Some(format!("http://{address}{}", history.unwrap()));
    while let Some(url) = next {
        let page: HistoryPage = reqwest::get(url).await.unwrap().json().await.unwrap();
        for message in page.messages {
            assert_eq!(message.seq, seen + 1);
            seen = message.seq;
        }
        let path = |after| format!("http://{address}/v1/channels/general/messages?after_seq={after}");
        next = page.next_after_seq.map(path);
    }
    assert_eq!(seen, sent, "it has everything");
    metric_reaches(admin, "hopline_dropped_total", &["slow_client"], 1.0).await;
    alice.0.publish("general", Uuid::new_v4(), "still here").await.unwrap();
    assert!(matches!(alice.next().await, ServerFrame::Ack(_)));
    again.receives(sent + 1..=sent + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_all_clients_together_is_limited_by_who_hoards() {
    const BODY_BYTES: u64 = 4000;
    const WAITING_BYTES_MAX: u64 = 1 << 20;
    // More than sockets buffer on both sides, and far less than the queue would hold.
    const SENT_BYTES_MAX: u64 = 64 << 20;
    let waiting = format!("--waiting-bytes-max={WAITING_BYTES_MAX}");
    let lab = lab_with(1, &["--client-queue-max=100000", &waiting]).await;
    let (address, admin) = (lab.addrs()[0], lab.servers()[0].admin_addr());
    let mut flood = Flood::begin(address).await;
    flood.until_closed(admin, usize::try_from(BODY_BYTES).unwrap(), SENT_BYTES_MAX).await;
    assert!(flood.sent * BODY_BYTES > WAITING_BYTES_MAX);
    flood.slow.closed().await;
    soon("an empty queue", async { while metric(admin, "hopline_send_queue_bytes", &[]).await > 0.0 {} })
        .await;
}
