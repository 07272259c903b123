//! What servers read from PostgreSQL.

use std::collections::HashMap;

use hopline::{
    config,
    history::{History, Postgres},
    protocol::ChannelName,
};

use serde_json::json;

use crate::support::{Peer, database, lab_with};

/// More than are read with one statement.
const CHANNELS: i64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_complete_however_many_channels_are_watched() {
    let lab = lab_with(0, &[]).await;
    let options = lab.database_url().parse().unwrap();
    let postgres = Postgres::new(&config::Database { options, connections_max: 1 });
    postgres.migrate().await.unwrap();
    sqlx::query("INSERT INTO channels (name, last_seq) SELECT 'c' || n, n FROM generate_series(1, $1) AS n")
        .bind(CHANNELS)
        .execute(&mut database(&lab).await)
        .await
        .unwrap();
    // Half of them have no message yet.
    let asked: Vec<ChannelName> = (1..=CHANNELS * 2).map(|n| format!("c{n}").parse().unwrap()).collect();
    let found: HashMap<String, u64> = postgres
        .positions(&asked)
        .await
        .unwrap()
        .into_iter()
        .map(|(channel, last_seq)| (channel.to_string(), last_seq))
        .collect();
    let expected = (1..=CHANNELS).map(|n| (format!("c{n}"), n.cast_unsigned())).collect();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_can_not_be_read_does_not_keep_other_channels_from_healing() {
    let lab = lab_with(1, &["--fault-switches", "--check-interval-ms=100"]).await;
    let server = lab.server("a");
    let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
    reader.subscribe("bad", None).await;
    reader.subscribe("good", None).await;
    server.switch_faults(&json!({ "lost_share": 1.0, "no_heal": true })).await.unwrap();
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    alice.publish("bad", "x").await;
    for _ in 0..200 {
        alice.publish("good", "x").await;
    }
    sqlx::query("UPDATE messages SET sender = 'not a name' WHERE channel = 'bad'")
        .execute(&mut database(&lab).await)
        .await
        .unwrap();
    server.switch_faults(&json!({ "lost_share": 1.0 })).await.unwrap();
    reader.receives(1..=200).await;
}
