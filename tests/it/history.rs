//! What servers read from PostgreSQL.

use std::collections::HashMap;

use hopline::{
    config,
    history::{History, Postgres},
    protocol::ChannelName,
};

use crate::support::{database, lab_with};

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
