//! Bad input gets a typed error or close code, and harms neither the server nor the other clients.

use std::{net::SocketAddr, time::Duration};

use hopline::protocol::{CloseCode, ErrorCode};
use hopline_loadtest::{
    client::{Client, RawMessage},
    lab::{Lab, Server},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};
use uuid::Uuid;

use crate::support::{Peer, lab_with, metric, metric_reaches, soon};

/// Resident memory of a server, in bytes.
fn resident_bytes(server: &Server) -> u64 {
    let pid = server.pid().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Another client is served as ever.
async fn all_is_well(lab: &Lab) {
    let address = lab.addrs()[0];
    let channel = format!("witness-{}", Uuid::new_v4());
    let mut witness = Peer::connect(address, "witness").await;
    witness.subscribe(&channel, None).await;
    Peer::connect(address, "alice").await.publish(&channel, "x").await;
    witness.receives(1..=1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_not_of_the_protocol_are_refused_and_the_connection_stands() {
    let lab = lab_with(1, &[]).await;
    let mut client = Peer::connect(lab.addrs()[0], "mallory").await;
    let id = "00000000-0000-4000-8000-000000000000";
    let long = "x".repeat(4097);
    let cases: Vec<(String, ErrorCode)> = [
        ("", ErrorCode::Malformed),
        ("{", ErrorCode::Malformed),
        ("\u{feff}{}", ErrorCode::Malformed),
        ("null", ErrorCode::Malformed),
        ("[[[[[[[[[[", ErrorCode::Malformed),
        (r#"{"type":"no such"}"#, ErrorCode::Malformed),
        (r#"{"type":"ping","unknown":1}"#, ErrorCode::Malformed),
        (r#"{"type":"subscribe"}"#, ErrorCode::Malformed),
        (r#"{"type":"subscribe","channel":7}"#, ErrorCode::Malformed),
        (r#"{"type":"subscribe","channel":"a","after_seq":-1}"#, ErrorCode::Malformed),
        (r#"{"type":"subscribe","channel":"a","after_seq":1.5}"#, ErrorCode::Malformed),
        (r#"{"type":"subscribe","channel":"a","after_seq":18446744073709551616}"#, ErrorCode::Malformed),
        (r#"{"type":"subscribe","channel":"a","after_seq":18446744073709551615}"#, ErrorCode::AfterSeqAhead),
        (r#"{"type":"subscribe","channel":"a","after_seq":9223372036854775808}"#, ErrorCode::AfterSeqAhead),
        (r#"{"type":"subscribe","channel":"a","unknown":1}"#, ErrorCode::Malformed),
        (r#"{"type":"subscribe","channel":""}"#, ErrorCode::InvalidName),
        (r#"{"type":"subscribe","channel":"a b"}"#, ErrorCode::InvalidName),
        (r#"{"type":"subscribe","channel":"ä"}"#, ErrorCode::InvalidName),
        (r#"{"type":"subscribe","channel":"a\u0000"}"#, ErrorCode::InvalidName),
        (r#"{"type":"unsubscribe","channel":"../etc"}"#, ErrorCode::InvalidName),
        (r#"{"type":"publish","channel":"a","client_message_id":"7","body":"x"}"#, ErrorCode::Malformed),
        (
            &format!(r#"{{"type":"publish","channel":"a","client_message_id":"{id}","body":""}}"#),
            ErrorCode::InvalidBody,
        ),
        (
            &format!(r#"{{"type":"publish","channel":"a","client_message_id":"{id}","body":"\u0000"}}"#),
            ErrorCode::InvalidBody,
        ),
        (
            &format!(r#"{{"type":"publish","channel":"a","client_message_id":"{id}","body":"\ud800"}}"#),
            ErrorCode::Malformed,
        ),
        (
            &format!(r#"{{"type":"publish","channel":"a'; DROP","client_message_id":"{id}","body":"x"}}"#),
            ErrorCode::InvalidName,
        ),
        (
            &format!(r#"{{"type":"publish","channel":"a","client_message_id":"{id}","body":"{long}"}}"#),
            ErrorCode::BodyTooLarge,
        ),
    ]
    .map(|(text, code)| (text.to_owned(), code))
    .into();
    for (text, code) in cases {
        client.0.send_text(text.clone()).await.unwrap();
        let error = client.refusal().await;
        assert_eq!(error.code, code, "{text}: {}", error.message);
    }
    client.publish("a", "fine").await;
    all_is_well(&lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_can_not_be_answered_close_the_connection_with_a_code() {
    let lab = lab_with(1, &[]).await;
    let address = lab.addrs()[0];
    let frames = [
        (RawMessage::binary(vec![0, 1, 2]), CloseCode::Unsupported),
        (RawMessage::text("x".repeat(32 * 1024 + 1)), CloseCode::TooLarge),
        (RawMessage::text("x".repeat(1 << 20)), CloseCode::TooLarge),
    ];
    for (frame, code) in frames {
        let mut client = Peer::connect(address, "mallory").await;
        // A server that closes early may cut off the rest of a large frame.
        let _ = client.0.send_raw(frame).await;
        assert_eq!(client.closed().await.code, Some(code.number()), "{code:?}");
    }
    all_is_well(&lab).await;
}

/// Upgrades a bare socket, so that bytes can be written which no WebSocket library would write.
async fn bare_websocket(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_break_the_websocket_protocol_close_the_connection() {
    let lab = lab_with(1, &[]).await;
    let (address, admin) = (lab.addrs()[0], lab.servers()[0].admin_addr());
    let unmasked: &[u8] = &[0x81, 0x01, b'x'];
    let reserved_opcode: &[u8] = &[0x83, 0x80, 0, 0, 0, 0];
    let not_utf8: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, 0xff];
    let cases =
        [(unmasked, "protocol_violation"), (reserved_opcode, "protocol_violation"), (not_utf8, "not_utf8")];
    let mut sockets = Vec::new();
    for (bytes, _) in cases {
        let mut socket = bare_websocket(address).await;
        socket.write_all(bytes).await.unwrap();
        sockets.push(socket);
    }
    let name = "hopline_connections_closed_total";
    metric_reaches(admin, name, &["protocol_violation"], 2.0).await;
    metric_reaches(admin, name, &["not_utf8"], 1.0).await;
    all_is_well(&lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_socket_is_closed_and_a_silent_but_living_one_is_not() {
    let lab = lab_with(1, &["--idle-timeout-ms=300"]).await;
    let (address, admin) = (lab.addrs()[0], lab.servers()[0].admin_addr());
    // It never answers a ping; its end would not show by itself.
    let half_open = bare_websocket(address).await;
    let mut living = Client::connect(address, "living").await.unwrap();
    let reading = tokio::spawn(async move { living.closed().await });
    metric_reaches(admin, "hopline_connections_closed_total", &["idle_timeout"], 1.0).await;
    assert!(!reading.is_finished(), "a client that answers pings stays");
    drop(half_open);
    all_is_well(&lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_subscriptions_of_one_client_are_limited_and_harmless() {
    let lab = lab_with(1, &[]).await;
    let server = lab.server("a");
    let client = Peer::connect(server.public_addr(), "mallory").await;
    let limit = client.0.hello().limits.subscriptions_max;
    let before = resident_bytes(&server);
    let (mut sender, mut receiver) = client.0.split();
    let asking = tokio::spawn(async move {
        for number in 0..10_000 {
            sender.subscribe(&format!("channel-{number}"), None, false).await.unwrap();
        }
        sender
    });
    let (mut subscribed, mut refused) = (0, 0);
    soon("the answers", async {
        while subscribed + refused < 10_000 {
            match receiver.next_frame().await.unwrap() {
                hopline::protocol::ServerFrame::Subscribed { .. } => subscribed += 1,
                hopline::protocol::ServerFrame::Error(error) => {
                    assert_eq!(error.code, ErrorCode::TooManySubscriptions);
                    refused += 1;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    })
    .await;
    drop(asking.await.unwrap());
    assert_eq!(subscribed, limit);
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(grown < 32 << 20, "the server grew by {grown} bytes");
    all_is_well(&lab).await;
    // And with the client its subscriptions go: at once, once it has left.
    drop(receiver);
    soon("the end of the subscriptions", async {
        while metric(server.admin_addr(), "hopline_subscriptions", &[]).await > 1.0 {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unacknowledged_publishes_of_a_client_are_limited() {
    let lab = lab_with(1, &["--outstanding-max=4", "--persist-timeout-ms=10000"]).await;
    let mut client = Peer::connect(lab.addrs()[0], "mallory").await;
    client.publish("general", "x").await;
    lab.postgres().freeze();
    for _ in 0..5 {
        client.0.publish("general", Uuid::new_v4(), "x").await.unwrap();
    }
    let error = client.refusal().await;
    assert_eq!((error.code, error.retryable), (ErrorCode::TooManyOutstanding, true));
    lab.postgres().thaw();
    for _ in 0..4 {
        assert!(matches!(client.next().await, hopline::protocol::ServerFrame::Ack(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_refused_until_one_ends() {
    let lab = lab_with(1, &["--connections-max=2"]).await;
    let address = lab.addrs()[0];
    let first = Peer::connect(address, "one").await;
    let _second = Peer::connect(address, "two").await;
    let refused = Client::connect(address, "three").await.unwrap_err();
    assert!(refused.to_string().contains("busy"), "{refused}");
    drop(first);
    soon("room for another", async { while Client::connect(address, "three").await.is_err() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_large_publishes_neither_grows_the_server_nor_starves_the_others() {
    let lab = lab_with(1, &[]).await;
    let server = lab.server("a");
    all_is_well(&lab).await;
    let before = resident_bytes(&server);
    let mut flood = JoinSet::new();
    for _ in 0..8 {
        let address = server.public_addr();
        flood.spawn(async move {
            let (mut sender, mut receiver) = Client::connect(address, "mallory").await.unwrap().split();
            let reading = tokio::spawn(async move {
                for _ in 0..500 {
                    receiver.next_frame().await.unwrap();
                }
            });
            for _ in 0..500 {
                sender.publish("flood", Uuid::new_v4(), &"x".repeat(4096)).await.unwrap();
            }
            reading.await.unwrap();
        });
    }
    let answered = tokio::time::timeout(Duration::from_secs(30), async {
        while let Some(done) = flood.join_next().await {
            done.unwrap();
            all_is_well(&lab).await;
        }
    });
    answered.await.expect("everyone is answered");
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "the server grew by {grown} bytes");
}
