//! First frames, renewals, and the end of a token while its bearer is connected.

use hopline::protocol::{ClientFrame, CloseCode, ErrorCode, ServerFrame, Token};
use hopline_loadtest::client::RawMessage;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    forge::{changed, hs256, in_s},
    house::{Counted, House, Told, closed},
};
use crate::support::{Peer, soon};

/// A little more than a server forgives: this token ends in about two seconds.
const ENDS_SOON_S: i64 = -3;

fn token(house: &House, changes: Value) -> String {
    let issuer = house.issuer();
    hs256(&json!({ "alg": "HS256" }), &changed(issuer, changes), issuer.secret.as_bytes())
}

fn authenticate(token: &str) -> ClientFrame {
    ClientFrame::Authenticate { token: Token(token.to_owned()) }
}

fn unauthorized() -> Told {
    Told(CloseCode::Unauthorized.number(), "unauthorized".into())
}

pub(super) async fn other_first_frames(house: &mut House) {
    let good = house.good_token();
    let publish = json!({
        "type": "publish", "channel": "general", "client_message_id": Uuid::new_v4(), "body": "body-of-a-bad-attempt",
    });
    let frames = [
        String::new(),
        "{}".into(),
        good.clone(),
        r#"{"type":"ping"}"#.into(),
        r#"{"type":"subscribe","channel":"general"}"#.into(),
        publish.to_string(),
        r#"{"type":"authenticate"}"#.into(),
        r#"{"type":"authenticate","token":7}"#.into(),
        json!({ "type": "authenticate", "token": good, "sender": "bob" }).to_string(),
        json!({ "type": "Authenticate", "token": good }).to_string(),
        json!([{ "type": "authenticate", "token": good }]).to_string(),
    ];
    let counted = Counted::Reason("first_frame");
    for frame in frames {
        let before = house.before(counted).await;
        assert_eq!(house.first_frame(RawMessage::text(frame.clone())).await, unauthorized(), "{frame}");
        house.is_counted(frame, counted, before).await;
    }
    for (frame, reason, code) in [
        (RawMessage::binary(authenticate_bytes(&good)), "unsupported", CloseCode::Unsupported),
        (RawMessage::text("x".repeat(40_000)), "too_large", CloseCode::TooLarge),
    ] {
        let counted = Counted::Closed(reason);
        let before = house.before(counted).await;
        assert_eq!(house.first_frame(frame).await.0, code.number(), "{reason}");
        house.is_counted(reason, counted, before).await;
    }
    // What was published before anyone came in was not stored.
    let page = house.history("general").bearer_auth(&good).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("body-of-a-bad-attempt"), "{page}");
}

fn authenticate_bytes(token: &str) -> Vec<u8> {
    serde_json::to_vec(&authenticate(token)).unwrap()
}

/// Pings, too, are no sign of who one is.
pub(super) async fn no_first_frame(house: &mut House) {
    use futures_util::SinkExt;
    let counted = Counted::Reason("timeout");
    let before = house.before(counted).await;
    let mut socket = house.unknown().await;
    assert_eq!(closed(&mut socket).await, unauthorized());
    house.is_counted("no first frame", counted, before).await;

    let before = house.before(counted).await;
    let (mut sink, mut stream) = futures_util::StreamExt::split(house.unknown().await);
    let pinging = tokio::spawn(async move {
        while sink.send(RawMessage::Ping(Vec::new().into())).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    soon("the end of the connection", async {
        use futures_util::StreamExt;
        while let Some(Ok(message)) = stream.next().await {
            assert!(!message.is_text(), "{message:?}");
        }
    })
    .await;
    soon("the end of the pings", pinging).await.unwrap();
    house.is_counted("pings only", counted, before).await;
}

pub(super) async fn renewals_that_do_not_hold(house: &mut House, good: &str) {
    let mut alice = house.client(good).await;
    let until_ms = alice.0.hello().expires_at_ms;
    let wrong_key = hs256(&json!({ "alg": "HS256" }), &changed(house.issuer(), json!({})), &[9; 32]);
    let rows = [
        ("garbage", "garbage".to_owned(), "malformed"),
        ("another key", wrong_key, "signature"),
        ("expired", token(house, json!({ "exp": in_s(-60) })), "expired"),
        ("another audience", token(house, json!({ "aud": "someone" })), "audience"),
        ("another sender", token(house, json!({ "sub": "bob" })), "other_sender"),
        ("almost the sender", token(house, json!({ "sub": "Alice" })), "other_sender"),
    ];
    for (what, token, reason) in rows {
        let counted = Counted::Reason(reason);
        let before = house.before(counted).await;
        alice.0.send(&authenticate(&token)).await.unwrap();
        let error = alice.refusal().await;
        assert_eq!(error.code, ErrorCode::Unauthorized, "{what}");
        assert_eq!(error.message, "a token that holds is needed", "{what}");
        house.is_counted(what, counted, before).await;
    }
    // The token before still holds, and no longer than it did.
    alice.publish("general", "x").await;
    assert_eq!(alice.0.hello().expires_at_ms, until_ms);
}

pub(super) async fn the_end_of_a_token(house: &mut House) {
    let counted = Counted::Closed("token_expired");
    let before = house.before(counted).await;
    let short = token(house, json!({ "exp": in_s(ENDS_SOON_S) }));
    let mut silent = house.client(&short).await;
    silent.subscribe("general", None).await;
    let ended = silent.closed().await;
    assert_eq!((ended.code, ended.reason.as_str()), (Some(4011), "token_expired"));
    house.is_counted("a token that ends", counted, before).await;

    let before = house.before(counted).await;
    let mut busy = house.client(&token(house, json!({ "exp": in_s(ENDS_SOON_S) }))).await;
    let ends_s = busy.0.hello().expires_at_ms.unwrap() / 1000;
    let ended = soon("the end of the connection", async {
        loop {
            if let Err(error) = busy.0.publish("general", Uuid::new_v4(), "x").await {
                return error.to_string();
            }
            if let Err(error) = busy.0.next_frame().await {
                return error.to_string();
            }
        }
    })
    .await;
    assert!(ended.contains("token_expired"), "{ended}");
    assert!(in_s(0).cast_unsigned() >= ends_s, "it ended before its time");
    house.is_counted("one that is in use", counted, before).await;
    let short_again = house.history("general").bearer_auth(&short);
    house.refused("one that has ended", short_again, 401, Counted::Reason("expired")).await;
}

pub(super) async fn a_renewed_token(house: &mut House) {
    let mut alice = house.client(&token(house, json!({ "exp": in_s(ENDS_SOON_S) }))).await;
    let before_ms = alice.0.hello().expires_at_ms.unwrap();
    alice.subscribe("general", None).await;
    alice.0.send(&authenticate(&token(house, json!({ "read": ["general", "other"] })))).await.unwrap();
    let ServerFrame::Authenticated { expires_at_ms } = alice.next().await else { panic!("not renewed") };
    assert!(expires_at_ms.unwrap() > before_ms + 3_000_000);
    // What the new token allows is allowed, and what both allow has gone on.
    alice.subscribe("other", None).await;
    let mut witness = house.client(&token(house, json!({ "exp": in_s(ENDS_SOON_S) }))).await;
    assert_eq!(witness.closed().await.code, Some(4011), "a token that began later has ended");
    alice.0.publish("general", Uuid::new_v4(), "x").await.unwrap();
    for _ in 0..2 {
        assert!(matches!(alice.next().await, ServerFrame::Ack(_) | ServerFrame::Message(_)));
    }
}

pub(super) async fn a_renewal_that_allows_less(house: &mut House) {
    let mut alice = house.client(&token(house, json!({}))).await;
    for channel in ["general", "team-a", "team-b"] {
        alice.subscribe(channel, None).await;
    }
    let less = token(house, json!({ "read": ["team-a"], "write": ["team-a"] }));
    alice.0.send(&authenticate(&less)).await.unwrap();
    assert!(matches!(alice.next().await, ServerFrame::Authenticated { .. }));
    let mut ended = Vec::new();
    for _ in 0..2 {
        let ServerFrame::Unsubscribed { channel, code } = alice.next().await else {
            panic!("not unsubscribed")
        };
        assert_eq!(code, Some(ErrorCode::Forbidden));
        ended.push(channel.to_string());
    }
    ended.sort();
    assert_eq!(ended, ["general", "team-b"]);
    let mut bob = house.client(&token(house, json!({ "sub": "bob" }))).await;
    bob.publish("general", "x").await;
    bob.publish("team-a", "x").await;
    assert_eq!(&*alice.message().await.channel, "team-a");
    let refused = Counted::Reason("write");
    let before = house.before(refused).await;
    alice.0.publish("general", Uuid::new_v4(), "x").await.unwrap();
    alice.refused(ErrorCode::Forbidden).await;
    house.is_counted("what is not allowed any more", refused, before).await;
    alice.0.send(&ClientFrame::Unsubscribe { channel: "general".into() }).await.unwrap();
    alice.refused(ErrorCode::NotSubscribed).await;
    alice.receives_nothing_more().await;
}

pub(super) async fn a_token_that_no_one_asked_for(house: &House) {
    let mut guest = Peer::connect(house.server().public_addr(), "alice").await;
    assert_eq!(guest.0.hello().expires_at_ms, None);
    guest.0.send(&authenticate("a.b.c")).await.unwrap();
    guest.refused(ErrorCode::Malformed).await;
    guest.publish("anything", "x").await;
}
