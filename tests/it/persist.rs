//! Acknowledged means committed, and a retry never makes a second message.

use std::collections::HashSet;

use hopline::protocol::{ErrorCode, ServerFrame};
use sqlx::Row;
use uuid::Uuid;

use crate::support::{Peer, database, lab, lab_with, soon};

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_message_is_in_the_database_when_the_ack_arrives() {
    let lab = lab_with(1, &[]).await;
    let mut database = database(&lab).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for number in 1..=100 {
        let ack = alice.publish("general", &format!("message {number}")).await;
        assert_eq!(ack.seq, number);
        let stored = sqlx::query("SELECT id, body, sender FROM messages WHERE channel = $1 AND seq = $2")
            .bind(&*ack.channel)
            .bind(ack.seq.cast_signed())
            .fetch_one(&mut database)
            .await
            .expect("an acknowledged message is stored");
        assert_eq!(stored.get::<Uuid, _>("id"), ack.id);
        assert_eq!(stored.get::<String, _>("body"), format!("message {number}"));
        assert_eq!(stored.get::<String, _>("sender"), "alice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_synchronous_even_where_the_database_says_otherwise() {
    let lab = lab_with(0, &[]).await;
    let mut database = database(&lab).await;
    let name: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(&mut database).await.unwrap();
    let lax = sqlx::AssertSqlSafe(format!("ALTER DATABASE \"{name}\" SET synchronous_commit = off"));
    sqlx::query(lax).execute(&mut database).await.unwrap();
    // A trigger is the one place that sees the writer's own setting.
    let server = lab.start_server("a", &[]).await.unwrap();
    for statement in [
        "CREATE TABLE seen (setting text, isolation text)",
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO seen VALUES (current_setting('synchronous_commit'), current_setting('transaction_isolation'));
             RETURN NULL; END $$",
        "CREATE TRIGGER see AFTER INSERT ON messages EXECUTE FUNCTION see()",
    ] {
        sqlx::query(statement).execute(&mut database).await.unwrap();
    }
    Peer::connect(server.public_addr(), "alice").await.publish("general", "hello").await;
    let seen: (String, String) = sqlx::query_as("SELECT * FROM seen").fetch_one(&mut database).await.unwrap();
    assert_eq!(seen, ("on".into(), "read committed".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_through_another_server_gets_the_first_number_and_is_delivered_once() {
    let lab = lab().await;
    let addrs = lab.addrs();
    let mut reader = Peer::connect(addrs[2], "reader").await;
    reader.subscribe("general", None).await;
    let id = Uuid::new_v4();
    let first = Peer::connect(addrs[0], "alice").await.publish_as("general", id, "once").await;
    let retry = Peer::connect(addrs[1], "alice").await.publish_as("general", id, "once").await;
    assert!(!first.repeated && retry.repeated);
    assert_eq!((retry.seq, retry.id), (first.seq, first.id));
    Peer::connect(addrs[1], "alice").await.publish("general", "next").await;
    let messages = reader.receives(1..=2).await;
    assert_eq!((messages[0].id, &*messages[1].body), (first.id, "next"));
    reader.receives_nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_of_another_sender_or_channel_is_another_message() {
    let lab = lab_with(1, &[]).await;
    let id = Uuid::new_v4();
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    let mut bob = Peer::connect(lab.addrs()[0], "bob").await;
    assert_eq!(alice.publish_as("general", id, "hers").await.seq, 1);
    assert_eq!(bob.publish_as("general", id, "his").await.seq, 2);
    assert!(!alice.publish_as("other", id, "hers").await.repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_under_a_used_id_is_a_conflict() {
    let lab = lab().await;
    let id = Uuid::new_v4();
    let first = Peer::connect(lab.addrs()[0], "alice").await.publish_as("general", id, "one").await;
    let mut elsewhere = Peer::connect(lab.addrs()[1], "alice").await;
    elsewhere.0.publish("general", id, "two").await.unwrap();
    let error = elsewhere.refusal().await;
    assert_eq!((error.code, error.client_message_id), (ErrorCode::Conflict, Some(id)));
    assert!(!error.retryable);
    assert_eq!(elsewhere.publish("general", "next").await.seq, first.seq + 1, "a conflict uses no number");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_within_a_batch_leave_no_gap() {
    let lab = lab_with(2, &[]).await;
    let id = Uuid::new_v4();
    let mut clients = Vec::new();
    for number in 0..8 {
        clients.push(Peer::connect(lab.addrs()[number % 2], "alice").await);
    }
    // All at once, over two servers: the same new message eight times, then one of its own from each.
    for client in &mut clients {
        client.0.publish("general", id, "same").await.unwrap();
        client.0.publish("general", Uuid::new_v4(), "own").await.unwrap();
    }
    let (mut numbers, mut fresh) = (HashSet::new(), 0);
    for client in &mut clients {
        for _ in 0..2 {
            let ServerFrame::Ack(ack) = client.next().await else { panic!("expected an ack") };
            numbers.insert(ack.seq);
            fresh += u64::from(!ack.repeated);
        }
    }
    assert_eq!(fresh, 9);
    assert_eq!(numbers, (1..=9).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_postgresql_refuses_does_not_fail_the_others_of_its_batch() {
    let lab = lab_with(1, &[]).await;
    let mut database = database(&lab).await;
    let refuse = "ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (body <> 'poison')";
    sqlx::query(refuse).execute(&mut database).await.unwrap();
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    for number in 0..100 {
        let body = if number % 10 == 7 { "poison" } else { "fine" };
        alice.0.publish("general", Uuid::new_v4(), body).await.unwrap();
    }
    let (mut stored, mut refused) = (Vec::new(), 0);
    for _ in 0..100 {
        match alice.next().await {
            ServerFrame::Ack(ack) => stored.push(ack.seq),
            ServerFrame::Error(error) => {
                assert_eq!(error.code, ErrorCode::InvalidBody);
                refused += 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    stored.sort_unstable();
    assert_eq!((refused, stored), (10, (1..=90).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgresql_publishes_are_refused_as_retryable_and_succeed_once_it_is_back() {
    let lab = lab_with(1, &["--persist-timeout-ms=200"]).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    alice.publish("general", "before").await;
    lab.postgres().kill().await;
    let id = Uuid::new_v4();
    alice.0.publish("general", id, "during").await.unwrap();
    let error = alice.refusal().await;
    assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, true));
    lab.postgres().start().await.unwrap();
    let ack = soon("a publish after the outage", async {
        loop {
            alice.0.publish("general", id, "during").await.unwrap();
            match alice.next().await {
                ServerFrame::Ack(ack) => break ack,
                ServerFrame::Error(error) => assert_eq!(error.code, ErrorCode::Unavailable),
                other => panic!("unexpected {other:?}"),
            }
        }
    })
    .await;
    assert_eq!(ack.seq, 2);
}
