//! Heads of requests: tokens in the wrong place, pages of other origins, and what is no request.

use hopline::protocol::ErrorCode;
use reqwest::{RequestBuilder, header::HeaderValue};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use super::house::{Counted, House, code};
use crate::support::soon;

const PROTOCOL: &str = "sec-websocket-protocol";

pub(super) async fn tokens_in_the_wrong_place(house: &mut House, good: &str) {
    let bearer = format!("Bearer {good}");
    let protocol = format!("hopline.token.{good}");
    let two = format!("{protocol}, {protocol}");
    let (history, handshake) = (|| house.history("general"), || house.handshake(""));
    let with = |request: RequestBuilder, value: &str| request.header("authorization", value);
    let not_text = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
    let rows = [
        ("history without a token", history(), "no_token"),
        ("POST without a token", house.post("general"), "no_token"),
        ("POST of nothing, without a token", house.post("general").body("{"), "no_token"),
        ("a token in a cookie", history().header("cookie", format!("token={good}")), "no_token"),
        ("a token in the URL", history().query(&[("token", good)]), "no_token"),
        ("Basic", history().basic_auth("alice", Some(good)), "scheme"),
        ("no scheme", with(history(), good), "scheme"),
        ("a scheme alone", with(handshake(), "Bearer"), "malformed"),
        ("a header that is no text", history().header("authorization", not_text), "malformed"),
        ("two headers", with(with(history(), &bearer), &bearer), "ambiguous"),
        ("a header and a subprotocol", with(handshake(), &bearer).header(PROTOCOL, &protocol), "ambiguous"),
        ("two subprotocols", handshake().header(PROTOCOL, &two), "ambiguous"),
    ];
    for (what, request, reason) in rows {
        let text = house.refused(what, request, 401, Counted::Reason(reason)).await;
        assert!(!text.contains(good), "{what}: the answer repeats the token");
    }
}

pub(super) async fn names_and_tokens_in_urls(house: &mut House, good: &str) {
    let named = json!({ "client_message_id": Uuid::new_v4(), "body": "x", "sender": "alice" });
    let own = json!({ "client_message_id": Uuid::new_v4(), "body": "x" });
    let rows = [
        ("a token in the URL, too", house.history("general").query(&[("token", good)]).bearer_auth(good)),
        (
            "a token in a POST's URL, too",
            house.post("general").query(&[("token", good)]).json(&own).bearer_auth(good),
        ),
        ("a token in a WebSocket's URL", house.handshake(&format!("?token={good}"))),
        ("the same, as OAuth has it", house.handshake(&format!("?access_token={good}"))),
        ("a name in the URL", house.handshake("?sender=bob").bearer_auth(good)),
        ("one's own name in the URL", house.handshake("?sender=alice").bearer_auth(good)),
        ("a name before the token", house.handshake("?sender=bob")),
        ("a name in a POST", house.post("general").json(&named).bearer_auth(good)),
    ];
    for (what, request) in rows {
        let text = house.refused(what, request, 400, Counted::Code(ErrorCode::Malformed)).await;
        assert!(!text.contains(good), "{what}: the answer repeats the token");
    }
}

const FORBIDDEN: Counted = Counted::Code(ErrorCode::ForbiddenOrigin);

pub(super) async fn other_origins(house: &mut House, good: &str) {
    for origin in
        ["https://evil.example", "null", "https://chat.example.evil.example", "http://chat.example", ""]
    {
        let requests = [house.handshake(""), house.history("general"), house.post("general")]
            .map(|it| it.bearer_auth(good));
        for request in requests {
            let text = house.refused(origin, request.header("origin", origin), 403, FORBIDDEN).await;
            assert_eq!(code(&text), ErrorCode::ForbiddenOrigin);
        }
    }
    let both = house.handshake("").bearer_auth(good).header("origin", "https://chat.example");
    house.refused("two origins", both.header("origin", "https://evil.example"), 403, FORBIDDEN).await;
    for origin in ["https://chat.example", "http://127.0.0.1:3000"] {
        let listed =
            house.history("general").bearer_auth(good).header("origin", origin).send().await.unwrap();
        assert_eq!(listed.status(), 200, "{origin}");
        let listed = house.handshake("").bearer_auth(good).header("origin", origin).send().await.unwrap();
        assert_eq!(listed.status(), 101, "{origin}");
    }
}

pub(super) async fn pages_of_any_origin(house: &mut House) {
    let own = house.url("");
    for origin in ["https://evil.example", "null", &own] {
        let request = house.handshake("?sender=alice").header("origin", origin);
        house.refused(origin, request, 403, FORBIDDEN).await;
        let request = house.history("general").header("origin", origin);
        house.refused(origin, request, 403, FORBIDDEN).await;
    }
}

pub(super) async fn broken_heads(house: &mut House) {
    let large = house.history("general").header("authorization", format!("Bearer {}", "x".repeat(64 << 10)));
    house.refused("an oversized header", large, 431, Counted::Head("too_large")).await;
    let many = (0..200).fold(house.history("general"), |request, n| request.header(format!("x-{n}"), "x"));
    house.refused("two hundred headers", many, 431, Counted::Head("too_large")).await;
    let address = house.server().public_addr();
    let half = format!("GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websock");
    let rows = [
        ("half a handshake", half.as_bytes(), Counted::Head("slow")),
        (
            "a handshake of TLS",
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            Counted::Head("malformed"),
        ),
    ];
    for (what, bytes, counted) in rows {
        let before = house.before(counted).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let _ = soon("the end of the connection", stream.read_to_end(&mut Vec::new())).await;
        house.is_counted(what, counted, before).await;
    }
}
