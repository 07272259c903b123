//! The HTTP interface: publishing, history, health and metrics.

use std::net::SocketAddr;

use hopline::protocol::{Ack, ErrorCode, HistoryPage, ProtocolError};
use hopline_loadtest::lab::Server;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use uuid::Uuid;

use crate::support::{Peer, ask_and_never_read, database, lab_with, metric, metric_reaches, soon};

async fn post(address: SocketAddr, channel: &str, body: &Value) -> Response {
    let url = format!("http://{address}/v1/channels/{channel}/messages");
    Client::new().post(url).json(body).send().await.unwrap()
}

async fn get(address: SocketAddr, path: &str) -> Response {
    reqwest::get(format!("http://{address}{path}")).await.unwrap()
}

async fn refusal(response: Response) -> (StatusCode, ErrorCode) {
    let status = response.status();
    (status, response.json::<ProtocolError>().await.unwrap().code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_publishes_like_a_frame() {
    let lab = lab_with(2, &[]).await;
    let mut reader = Peer::connect(lab.addrs()[1], "reader").await;
    reader.subscribe("general", None).await;
    let id = Uuid::new_v4();
    let body = json!({ "client_message_id": id, "body": "by post", "sender": "alice" });
    let first = post(lab.addrs()[0], "general", &body).await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let ack: Ack = first.json().await.unwrap();
    assert_eq!(reader.receives(1..=1).await[0].id, ack.id);
    let again = post(lab.addrs()[1], "general", &body).await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.json::<Ack>().await.unwrap(), Ack { repeated: true, ..ack });
    let other = json!({ "client_message_id": id, "body": "changed", "sender": "alice" });
    let conflict = post(lab.addrs()[0], "general", &other).await;
    assert_eq!(refusal(conflict).await, (StatusCode::CONFLICT, ErrorCode::Conflict));
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_paged_to_its_end() {
    let lab = lab_with(1, &[]).await;
    let address = lab.addrs()[0];
    let mut alice = Peer::connect(address, "alice").await;
    for _ in 0..5 {
        alice.publish("general", "x").await;
    }
    let (mut after_seq, mut seqs) = (Some(0), Vec::new());
    while let Some(after) = after_seq {
        let path = format!("/v1/channels/general/messages?after_seq={after}&limit=2");
        let page: HistoryPage = get(address, &path).await.json().await.unwrap();
        assert_eq!(page.last_seq, 5);
        assert!(page.messages.len() <= 2);
        seqs.extend(page.messages.iter().map(|message| message.seq));
        after_seq = page.next_after_seq;
    }
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    let empty: HistoryPage = get(address, "/v1/channels/nobody/messages").await.json().await.unwrap();
    assert_eq!(empty, HistoryPage { messages: vec![], last_seq: 0, next_after_seq: None });
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_get_typed_errors() {
    let lab = lab_with(1, &[]).await;
    let address = lab.addrs()[0];
    let id = Uuid::new_v4();
    let cases = [
        ("general", json!({}), StatusCode::BAD_REQUEST, ErrorCode::Malformed),
        (
            "general",
            json!({ "client_message_id": 7, "body": "x", "sender": "a" }),
            StatusCode::BAD_REQUEST,
            ErrorCode::Malformed,
        ),
        (
            "general",
            json!({ "client_message_id": id, "body": "x", "sender": "a b" }),
            StatusCode::BAD_REQUEST,
            ErrorCode::Malformed,
        ),
        (
            "a%20b",
            json!({ "client_message_id": id, "body": "x", "sender": "a" }),
            StatusCode::BAD_REQUEST,
            ErrorCode::InvalidName,
        ),
        (
            "general",
            json!({ "client_message_id": id, "body": "", "sender": "a" }),
            StatusCode::BAD_REQUEST,
            ErrorCode::InvalidBody,
        ),
        (
            "general",
            json!({ "client_message_id": id, "body": "\u{0}", "sender": "a" }),
            StatusCode::BAD_REQUEST,
            ErrorCode::InvalidBody,
        ),
        (
            "general",
            json!({ "client_message_id": id, "body": "x".repeat(5000), "sender": "a" }),
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::BodyTooLarge,
        ),
        (
            "general",
            json!({ "client_message_id": id, "body": "x".repeat(100_000), "sender": "a" }),
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::BodyTooLarge,
        ),
    ];
    for (channel, body, status, code) in cases {
        assert_eq!(refusal(post(address, channel, &body).await).await, (status, code), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_paths_and_queries_get_typed_errors() {
    let lab = lab_with(1, &[]).await;
    let address = lab.addrs()[0];
    for path in ["after_seq=-1", "after_seq=x", "after_seq=18446744073709551616", "limit=x"] {
        let response = get(address, &format!("/v1/channels/general/messages?{path}")).await;
        assert_eq!(refusal(response).await, (StatusCode::BAD_REQUEST, ErrorCode::Malformed), "{path}");
    }
    let far = get(address, "/v1/channels/general/messages?after_seq=18446744073709551615").await;
    assert_eq!(far.json::<HistoryPage>().await.unwrap().messages, []);
    let not_utf8 = get(address, "/v1/channels/%FF/messages").await;
    assert_eq!(refusal(not_utf8).await, (StatusCode::BAD_REQUEST, ErrorCode::Malformed));
    let plain = get(address, "/v1/ws").await;
    assert_eq!(refusal(plain).await, (StatusCode::BAD_REQUEST, ErrorCode::Malformed));
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_what_is_wrong() {
    let lab = lab_with(1, &[]).await;
    let address = lab.addrs()[0];
    let ready = async || {
        let response = get(address, "/readyz").await;
        (response.status(), response.json::<Value>().await.unwrap())
    };
    soon("the broker's connection", async {
        while ready().await.1 != json!({ "ready": true, "database": "ok", "broker": "ok", "server": "ok" }) {}
    })
    .await;
    lab.backend().kill();
    soon("the broker's loss", async { while ready().await.1["broker"] != "degraded" {} }).await;
    assert_eq!(ready().await.0, StatusCode::OK, "all servers lost the broker: none is better than this one");
    lab.postgres().kill().await;
    let (status, body) = ready().await;
    assert_eq!((status, &body["database"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("failed")));
    let problems = [
        "PostgreSQL does not answer",
        "the broker is disconnected; messages are read from PostgreSQL instead",
    ];
    assert_eq!(body["problems"], json!(problems), "strangers learn no more");
    assert_eq!(get(address, "/livez").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_ready_however_many_clients_wait_for_the_database() {
    let lab = lab_with(1, &["--database-connections=1"]).await;
    let address = lab.addrs()[0];
    let mut locking = database(&lab).await;
    let mut lock = locking.begin().await.unwrap();
    sqlx::query("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let mut pages = JoinSet::new();
    for _ in 0..20 {
        pages.spawn(get(address, "/v1/channels/general/messages"));
    }
    let mut observer = database(&lab).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    soon("a read that waits", async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut observer).await.unwrap() == 0 {}
    })
    .await;
    assert_eq!(get(address, "/readyz").await.status(), StatusCode::OK);
    lock.rollback().await.unwrap();
    pages.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_to_operators_only() {
    let lab = lab_with(1, &[]).await;
    let server = lab.server("a");
    assert_eq!(get(server.public_addr(), "/metrics").await.status(), StatusCode::NOT_FOUND);
    let mut alice = Peer::connect(server.public_addr(), "alice").await;
    alice.subscribe("general", None).await;
    alice.0.publish("general", Uuid::new_v4(), "x").await.unwrap();
    alice.next().await;
    alice.next().await;
    soon("a figure for each hop", async {
        loop {
            let text = get(server.admin_addr(), "/metrics").await.text().await.unwrap();
            let counted = |series: &str| {
                let name = format!("hopline_hop_duration_seconds_count{{{series}}} 1");
                text.lines().any(|line| line == name)
            };
            let series = [
                r#"hop="accept""#,
                r#"hop="persist""#,
                r#"hop="publish""#,
                r#"hop="broadcast",origin="self""#,
                r#"hop="receive""#,
                r#"hop="send",recipient="first""#,
                r#"hop="send",recipient="median""#,
                r#"hop="send",recipient="last""#,
            ];
            if series.iter().all(|series| counted(series)) {
                break;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_slow_with_a_request_or_sends_none_is_disconnected() {
    let lab = lab_with(1, &["--request-timeout-ms=300"]).await;
    // A WebSocket has left HTTP behind, so it outlasts them all.
    let mut peer = Peer::connect(lab.server("a").public_addr(), "ann").await;
    for address in [lab.server("a").public_addr(), lab.server("a").admin_addr()] {
        for sent in ["", "GET /livez HT"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let read = stream.read_to_end(&mut rest);
            let _ = soon("the end of the connection", read).await;
        }
    }
    peer.receives_nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_end_keep_others_out_only_until_their_time_is_over() {
    let lab = lab_with(1, &["--http-connections-max=2", "--request-timeout-ms=500"]).await;
    let address = lab.server("a").public_addr();
    let head = "POST /v1/channels/general/messages HTTP/1.1\r\nHost: hopline\r\nContent-Length: 100\r\n\r\n{";
    let mut begun = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        begun.push(socket);
    }
    let answered = soon("an answer", reqwest::get(format!("http://{address}/livez"))).await.unwrap();
    assert!(answered.status().is_success());
    for mut socket in begun {
        let mut refusal = String::new();
        soon("the connection's end", socket.read_to_string(&mut refusal)).await.unwrap();
        assert!(
            refusal.starts_with("HTTP/1.1 400 ") && refusal.contains("the body took too long"),
            "{refusal}"
        );
    }
}

/// A client that is subscribed to `general` and has so much to read that its socket takes nothing more, and how many messages
/// that took.
async fn stuck_peer(server: &Server) -> (Peer, u64) {
    const BODY_BYTES: u32 = 64 << 10;
    let mut stuck = Peer::connect(server.public_addr(), "stuck").await;
    stuck.subscribe("general", None).await;
    let mut alice = Peer::connect(server.public_addr(), "alice").await;
    let (body, mut sent) = ("x".repeat(BODY_BYTES as usize), 0);
    while metric(server.admin_addr(), "hopline_send_queue_bytes", &[]).await < f64::from(8 * BODY_BYTES) {
        sent = alice.publish("general", &body).await.seq;
    }
    (stuck, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_no_one_reads_keep_others_out_only_until_their_time_is_over_and_spare_websockets() {
    let large = ["--body-bytes-max=65536", "--frame-bytes-max=100000"];
    let flags = [&["--http-connections-max=2", "--request-timeout-ms=500"], &large[..]].concat();
    let lab = lab_with(1, &flags).await;
    let (server, address) = (lab.server("a"), lab.server("a").public_addr());
    // It has been waiting for longer than the others when those are cut off.
    let (mut stuck, sent) = stuck_peer(&server).await;
    let small = TcpStream::connect(address).await.unwrap();
    let pages = TcpStream::connect(address).await.unwrap();
    let (answered, (), ()) = tokio::join!(
        soon("an answer", reqwest::get(format!("http://{address}/livez"))),
        ask_and_never_read(small, "/livez"),
        ask_and_never_read(pages, "/v1/channels/general/messages"),
    );
    assert!(answered.unwrap().status().is_success());
    metric_reaches(server.admin_addr(), "hopline_answers_unread_total", &[], 2.0).await;
    stuck.receives(1..=sent).await;
    stuck.receives_nothing_more().await;
    assert!(metric(server.admin_addr(), "hopline_answers_unread_total", &[]).await < 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_request_keep_others_out_only_until_their_time_is_over() {
    let lab = lab_with(1, &["--http-connections-max=2", "--request-timeout-ms=500"]).await;
    let address = lab.server("a").public_addr();
    let _idle = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let answered = soon("an answer", reqwest::get(format!("http://{address}/livez"))).await.unwrap();
    assert!(answered.status().is_success());
    // WebSockets do not count, however many there are.
    for _ in 0..5 {
        Peer::connect(address, "ann").await.receives_nothing_more().await;
    }
}
