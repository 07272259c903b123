//! What a token does not allow: other channels, names that look like its patterns, the other direction.

use hopline::protocol::{ErrorCode, ServerFrame};
use serde_json::json;
use uuid::Uuid;

use super::{
    forge::{changed, hs256},
    house::{Counted, House, code},
};

/// Each way to read or to write, with a channel's name as it stands in a frame, and in a path.
async fn tries(
    house: &mut House,
    token: &str,
    (name, path): (&str, &str),
    counted: [Counted; 2],
    status: u16,
) {
    let mut client = house.client(token).await;
    let subscribe = json!({ "type": "subscribe", "channel": name });
    let publish = json!({
        "type": "publish", "channel": name, "client_message_id": Uuid::new_v4(), "body": "body-of-a-bad-attempt",
    });
    let expected = if status == 400 { ErrorCode::InvalidName } else { ErrorCode::Forbidden };
    for (frame, counted) in [(subscribe, counted[0]), (publish, counted[1])] {
        let before = house.before(counted).await;
        client.0.send_text(frame.to_string()).await.unwrap();
        assert_eq!(client.refusal().await.code, expected, "{frame}");
        house.is_counted(frame, counted, before).await;
    }
    let history = house.history(path).bearer_auth(token);
    assert_eq!(code(&house.refused(format!("GET {path}"), history, status, counted[0]).await), expected);
    let post = house.post(path).bearer_auth(token);
    assert_eq!(code(&house.refused(format!("POST {path}"), post, status, counted[1]).await), expected);
    client.receives_nothing_more().await;
}

pub(super) async fn others(house: &mut House, good: &str) {
    let counted = [Counted::Reason("read"), Counted::Reason("write")];
    for name in [
        "other",
        "General",
        "GENERAL",
        "general2",
        "genera",
        "general.x",
        "general-",
        "team",
        "teams",
        "Team-a",
        "x-team-a",
        "a.team-b",
    ] {
        tries(house, good, (name, name), counted, 403).await;
    }
    tries(house, good, ("other", "%6Fther"), counted, 403).await;
}

pub(super) async fn names_that_are_patterns(house: &mut House, good: &str) {
    let counted = [Counted::Code(ErrorCode::InvalidName); 2];
    for (name, path) in [
        ("*", "*"),
        ("team-*", "team-*"),
        ("team-*", "team-%2A"),
        ("general*", "general*"),
        ("g\u{435}neral", "g%D0%B5neral"),
        ("general\u{200b}", "general%E2%80%8B"),
        ("\u{ff47}eneral", "%EF%BD%87eneral"),
        ("general\u{0}", "general%00"),
        ("general ", "general%20"),
        ("general/../other", "general%2F..%2Fother"),
        ("general%2A", "general%252A"),
        (".general", ".general"),
    ] {
        tries(house, good, (name, path), counted, 400).await;
    }
}

pub(super) async fn one_way_only(house: &mut House) {
    let issuer = house.issuer().clone();
    let token =
        |change| hs256(&json!({ "alg": "HS256" }), &changed(&issuer, change), issuer.secret.as_bytes());
    let reader = token(json!({ "write": null }));
    house
        .refused("who may read", house.post("general").bearer_auth(&reader), 403, Counted::Reason("write"))
        .await;
    assert_eq!(house.history("general").bearer_auth(&reader).send().await.unwrap().status(), 200);
    let writer = token(json!({ "read": null }));
    house
        .refused("who may write", house.history("general").bearer_auth(&writer), 403, Counted::Reason("read"))
        .await;
    assert_eq!(house.post("general").bearer_auth(&writer).send().await.unwrap().status(), 201);
    let nothing = token(json!({ "read": [], "write": [] }));
    let mut client = house.client(&nothing).await;
    client.0.subscribe("general", None, false).await.unwrap();
    client.refused(ErrorCode::Forbidden).await;
    let everything = token(json!({ "read": ["*"], "write": ["*"] }));
    let mut client = house.client(&everything).await;
    client.subscribe("anything.at-all", None).await;
    client.0.publish("anything.at-all", Uuid::new_v4(), "x").await.unwrap();
    assert!(matches!(client.next().await, ServerFrame::Ack(_) | ServerFrame::Message(_)));
}
