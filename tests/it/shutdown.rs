//! A server that is told to stop finishes what it has accepted.

use hopline::protocol::{CloseCode, ServerFrame};
use hopline_loadtest::client::ClientError;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use uuid::Uuid;

use crate::support::{Peer, lab_with, soon};

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_answers_what_was_accepted_then_closes_with_its_code() {
    let lab = lab_with(2, &[]).await;
    let server = lab.server("a");
    let mut reader = Peer::connect(lab.server("b").public_addr(), "reader").await;
    reader.subscribe("general", None).await;
    let mut idle = Peer::connect(server.public_addr(), "idle").await;
    let mut alice = Peer::connect(server.public_addr(), "alice").await;
    for _ in 0..100 {
        alice.0.publish("general", Uuid::new_v4(), "x").await.unwrap();
    }
    let terminated = soon("the shutdown", server.terminate());
    let (status, acknowledged) = tokio::join!(terminated, async {
        let mut acknowledged = 0;
        loop {
            match alice.0.next_frame().await {
                Ok(ServerFrame::Ack(ack)) => acknowledged = ack.seq,
                Ok(other) => panic!("unexpected {other:?}"),
                Err(ClientError::Closed(closed)) => {
                    assert_eq!(closed.code, Some(CloseCode::ShuttingDown.number()), "{closed:?}");
                    break acknowledged;
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert!(status.unwrap().success());
    assert_eq!(idle.closed().await.code, Some(CloseCode::ShuttingDown.number()));
    reader.receives(1..=acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_waits_neither_for_half_a_request_nor_for_a_client_that_does_not_read() {
    let lab = lab_with(1, &["--shutdown-timeout-ms=30000"]).await;
    let server = lab.server("a");
    let mut half = TcpStream::connect(server.public_addr()).await.unwrap();
    half.write_all(b"GET /livez HTTP/1.1\r\nHost: x").await.unwrap();
    let mut deaf = Peer::connect(server.public_addr(), "deaf").await;
    deaf.subscribe("general", None).await;
    let mut alice = Peer::connect(server.public_addr(), "alice").await;
    for _ in 0..3000 {
        alice.publish("general", &"x".repeat(4000)).await;
    }
    let status = soon("the shutdown", server.terminate()).await.unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_nothing_for_clients_that_reconnect() {
    let lab = lab_with(2, &[]).await;
    let mut seen = 0;
    for round in 0..3 {
        let server = lab.server(if round % 2 == 0 { "a" } else { "b" });
        let mut alice = Peer::connect(server.public_addr(), "alice").await;
        let mut reader = Peer::connect(server.public_addr(), "reader").await;
        reader.subscribe("general", Some(seen)).await;
        for _ in 0..20 {
            alice.publish("general", "x").await;
        }
        reader.receives(seen + 1..=seen + 20).await;
        seen += 20;
        server.restart().await.unwrap();
        assert_eq!(reader.closed().await.code, Some(CloseCode::ShuttingDown.number()));
    }
}
