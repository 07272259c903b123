//! What one client, one address, or all of them together may ask for; and what they are told beyond that.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use hopline::protocol::{ClientFrame, ErrorCode, HistoryPage, ProtocolError, ServerFrame};
use hopline_loadtest::{client::Client, lab::Server};
use reqwest::{Response, StatusCode, header};
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::support::{Peer, fault, lab_with, metric, soon};

/// Another address of this machine than everyone else's.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// An HTTP client that comes from this address.
fn from(address: IpAddr) -> reqwest::Client {
    reqwest::Client::builder().local_address(address).build().unwrap()
}

async fn post(http: &reqwest::Client, address: SocketAddr) -> Response {
    let url = format!("http://{address}/v1/channels/general/messages");
    let body = json!({ "client_message_id": Uuid::new_v4(), "sender": "ann", "body": "x" });
    http.post(url).json(&body).send().await.unwrap()
}

/// Opens a WebSocket, which stands as long as the answer to its request is kept.
async fn upgrade(http: &reqwest::Client, address: SocketAddr) -> Response {
    let request = http.get(format!("http://{address}/v1/ws")).header(header::CONNECTION, "upgrade");
    let request = request.header(header::UPGRADE, "websocket").header("sec-websocket-version", "13");
    request.header("sec-websocket-key", "aGVsbG8gaGVsbG8gaGVsbA==").send().await.unwrap()
}

async fn errors(server: &Server, code: ErrorCode) -> f64 {
    metric(server.admin_addr(), "hopline_errors_total", &[&format!("\"{}\"", code.as_str())]).await
}

async fn send(peer: &mut Peer, publishes: usize) {
    for _ in 0..publishes {
        peer.0.publish("general", Uuid::new_v4(), "x").await.unwrap();
    }
}

/// The next answers to publishes, as they come.
async fn answers(peer: &mut Peer, count: usize) -> Vec<Result<u64, ProtocolError>> {
    let mut answers = Vec::new();
    while answers.len() < count {
        answers.push(match peer.next().await {
            ServerFrame::Ack(ack) => Ok(ack.seq),
            ServerFrame::Error(error) => Err(error),
            other => panic!("unexpected {other:?}"),
        });
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_publishes_too_fast_is_told_when_it_may_again() {
    let lab = lab_with(1, &["--publish-rate-max=1", "--publish-burst-max=3"]).await;
    let server = lab.server("a");
    let mut hasty = Peer::connect(server.public_addr(), "hasty").await;
    send(&mut hasty, 4).await;
    let answers = answers(&mut hasty, 4).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    let [refused] = refused[..] else { panic!("{answers:?}") };
    assert_eq!((refused.code, refused.retryable), (ErrorCode::RateLimited, true));
    let told_at = Instant::now();
    let wait_ms = refused.retry_after_ms.unwrap();
    assert!((1..=1000).contains(&wait_ms), "{wait_ms}");
    assert!(errors(&server, ErrorCode::RateLimited).await >= 1.0);
    Peer::connect(server.public_addr(), "other").await.publish("general", "x").await;
    sleep_until(told_at + Duration::from_millis(wait_ms)).await;
    hasty.publish("general", "x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_over_http_have_a_rate_for_each_address() {
    let lab = lab_with(1, &["--publish-rate-max=1", "--publish-burst-max=2"]).await;
    let server = lab.server("a");
    let address = server.public_addr();
    let here = from(Ipv4Addr::LOCALHOST.into());
    assert_eq!(post(&here, address).await.status(), StatusCode::CREATED);
    let refused = soon("a refusal", async {
        loop {
            let answer = post(&here, address).await;
            if answer.status() != StatusCode::CREATED {
                break answer;
            }
        }
    });
    let refused = refused.await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    let error: ProtocolError = refused.json().await.unwrap();
    assert_eq!(error.code, ErrorCode::RateLimited);
    assert!((1..=1000).contains(&error.retry_after_ms.unwrap()), "{error:?}");
    assert!(errors(&server, ErrorCode::RateLimited).await >= 1.0);
    assert_eq!(post(&from(ELSEWHERE), address).await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_can_not_take_all_connections() {
    let lab = lab_with(1, &["--connections-max=3", "--connections-per-address-max=2"]).await;
    let (address, admin) = (lab.server("a").public_addr(), lab.server("a").admin_addr());
    let first = Peer::connect(address, "one").await;
    let _second = Peer::connect(address, "two").await;
    let refused = upgrade(&from(Ipv4Addr::LOCALHOST.into()), address).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    let code = refused.json::<ProtocolError>().await.unwrap().code;
    assert_eq!(code, ErrorCode::TooManyConnections);
    let elsewhere = upgrade(&from(ELSEWHERE), address).await;
    assert_eq!(elsewhere.status(), StatusCode::SWITCHING_PROTOCOLS);
    let full = upgrade(&from(ELSEWHERE), address).await;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    let refusals = async |limit| metric(admin, "hopline_connections_refused_total", &[limit]).await;
    assert_eq!((refusals("\"address\"").await, refusals("\"server\"").await), (1.0, 1.0));
    drop(first);
    soon("room for another", async { while Client::connect(address, "three").await.is_err() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_would_take_too_long_is_refused_at_once_and_gone_with_the_overload() {
    let lab = lab_with(1, &["--fault-switches", "--persist-wait-max-ms=300", "--outstanding-max=1000"]).await;
    let server = lab.server("a");
    // A hundred a second.
    fault(&server, &["delay", "persist", "10", "--serial"]);
    let mut peer = Peer::connect(server.public_addr(), "hasty").await;
    send(&mut peer, 40).await;
    // By then it is known what a message takes, and most of these still wait.
    assert!(answers(&mut peer, 8).await.iter().all(Result::is_ok));
    send(&mut peer, 300).await;
    let answers = answers(&mut peer, 332).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(refused.len() >= 200, "{} were refused", refused.len());
    for error in &refused {
        assert_eq!((error.code, error.retryable), (ErrorCode::Busy, true));
        assert!(error.retry_after_ms.unwrap() > 300, "{error:?}");
    }
    let accepted = answers.len() - refused.len();
    let first = answers.iter().take_while(|answer| answer.is_ok()).count();
    assert!(first < accepted, "who is accepted waits, who is refused does not");
    fault(&server, &["clear"]);
    peer.publish("general", "x").await;
    let url = format!("http://{}/v1/channels/general/messages", server.public_addr());
    let page: HistoryPage = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(page.last_seq, 8 + accepted as u64 + 1, "what is refused is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_commit_hangs_publishes_are_refused_at_once() {
    let args = ["--persist-wait-max-ms=100", "--persist-timeout-ms=30000", "--outstanding-max=100000"];
    let lab = lab_with(1, &args).await;
    let mut peer = Peer::connect(lab.addrs()[0], "alice").await;
    peer.publish("general", "x").await;
    lab.postgres().freeze();
    let (mut sent, mut refused) = (0, 0);
    let refusal = async {
        while refused == 0 {
            send(&mut peer, 1).await;
            sent += 1;
            peer.0.send(&ClientFrame::Ping {}).await.unwrap();
            loop {
                match peer.next().await {
                    ServerFrame::Pong => break,
                    ServerFrame::Error(error) => {
                        assert_eq!(error.code, ErrorCode::Busy);
                        refused += 1;
                    }
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
    };
    soon("a refusal", refusal).await;
    lab.postgres().thaw();
    let answers = answers(&mut peer, sent - refused).await;
    let committed = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(committed > 0, "what was accepted is committed: {answers:?}");
    assert_eq!(peer.publish("general", "x").await.seq, committed as u64 + 2, "what is refused is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_no_overload_while_postgresql_keeps_up() {
    let lab = lab_with(1, &["--outstanding-max=1000"]).await;
    let mut clients = Vec::new();
    for number in 0..4 {
        clients.push(Peer::connect(lab.addrs()[0], &format!("client-{number}")).await);
    }
    for client in &mut clients {
        send(client, 500).await;
    }
    for client in &mut clients {
        let answers = answers(client, 500).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_too_large_a_head_is_refused() {
    let lab = lab_with(1, &[]).await;
    let get = async |bytes| {
        let request = reqwest::Client::new().get(format!("http://{}/livez", lab.addrs()[0]));
        request.header("x-long", "x".repeat(bytes)).send().await.map(|answer| answer.status())
    };
    assert_eq!(get(16 << 10).await.unwrap(), StatusCode::OK);
    // A server that doesn't read the rest may reset the connection before its answer is read.
    let refused = get(1 << 20).await;
    assert!(refused.is_err() || refused.unwrap() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(get(1).await.unwrap(), StatusCode::OK);
}
