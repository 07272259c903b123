//! Numbers are gapless and become visible in the order of commits; ids from a sequence do not.

use hopline::protocol::ServerFrame;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Peer, database, lab, lab_with, soon};

const WRITERS: u64 = 16;
const MESSAGES_OF_A_WRITER: u64 = 250;

/// Follows a channel in the database with `seq > last`, as a reader without the broker would, and fails if
/// a number is ever passed over.
async fn follow(mut database: PgConnection, upto: i64) {
    let mut last = 0;
    while last < upto {
        let seqs: Vec<i64> =
            sqlx::query_scalar("SELECT seq FROM messages WHERE channel = 'hot' AND seq > $1 ORDER BY seq")
                .bind(last)
                .fetch_all(&mut database)
                .await
                .unwrap();
        for seq in seqs {
            assert_eq!(seq, last + 1, "a reader skipped a committed message");
            last = seq;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_on_three_servers_leave_no_reader_behind() {
    let lab = lab().await;
    let total = (WRITERS * MESSAGES_OF_A_WRITER).cast_signed();
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        tasks.spawn(follow(database(&lab).await, total));
    }
    for (number, address) in (0..WRITERS).zip(lab.addrs().into_iter().cycle()) {
        tasks.spawn(async move {
            let mut writer = Peer::connect(address, &format!("writer-{number}")).await;
            let mut last = 0;
            for _ in 0..MESSAGES_OF_A_WRITER {
                let seq = writer.publish("hot", "x").await.seq;
                assert!(seq > last, "a writer's messages changed places");
                last = seq;
            }
        });
    }
    soon("the end of reading and writing", async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    })
    .await;
}

/// Why the numbers come from a counter row: ids of a sequence are handed out before the commit, so a reader
/// that has seen a higher one never comes back for a lower one that commits later.
#[tokio::test(flavor = "multi_thread")]
async fn ids_of_a_sequence_do_leave_a_reader_behind() {
    let lab = lab_with(0, &[]).await;
    let mut reader = database(&lab).await;
    sqlx::query("CREATE TABLE naive (id bigserial PRIMARY KEY)").execute(&mut reader).await.unwrap();
    let insert = "INSERT INTO naive DEFAULT VALUES RETURNING id";
    let (mut slow, mut fast) = (database(&lab).await, database(&lab).await);
    let mut slow = slow.begin().await.unwrap();
    let lower: i64 = sqlx::query_scalar(insert).fetch_one(&mut *slow).await.unwrap();
    let higher: i64 = sqlx::query_scalar(insert).fetch_one(&mut fast).await.unwrap();
    assert!(lower < higher);
    let seen: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM naive WHERE id > 0").fetch_all(&mut reader).await.unwrap();
    assert_eq!(seen, [higher]);
    slow.commit().await.unwrap();
    let later: Vec<i64> = sqlx::query_scalar("SELECT id FROM naive WHERE id > $1")
        .bind(higher)
        .fetch_all(&mut reader)
        .await
        .unwrap();
    assert_eq!(later, [0_i64; 0], "the lower id has been skipped for ever");
}

/// The companion: with the lower number's transaction held open, the counter row lets no one overtake it.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_counter_row_keeps_later_numbers_back_until_it_commits() {
    let lab = lab_with(1, &[]).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    alice.publish("hot", "first").await;
    let mut holder = database(&lab).await;
    let mut held = holder.begin().await.unwrap();
    let append = "SELECT seq FROM append_messages('{hot}', '{holder}', $1, $1, '{held}', '{0}', '{NULL}')";
    let lower: i64 =
        sqlx::query_scalar(append).bind(vec![Uuid::new_v4()]).fetch_one(&mut *held).await.unwrap();
    alice.0.publish("hot", Uuid::new_v4(), "waits").await.unwrap();
    let mut reader = database(&lab).await;
    soon("the server's wait for the counter row", async {
        let waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut reader).await.unwrap() {}
    })
    .await;
    held.commit().await.unwrap();
    let ServerFrame::Ack(ack) = alice.next().await else { panic!("expected an ack") };
    assert_eq!((lower, ack.seq), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_on_an_empty_database_share_its_migration() {
    let lab = lab_with(6, &[]).await;
    let mut database = database(&lab).await;
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success")
        .fetch_one(&mut database)
        .await
        .unwrap();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(usize::try_from(applied).unwrap(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_writers_keep_each_channel_in_its_publishers_order() {
    let lab = lab_with(1, &["--persist-writers=4"]).await;
    let mut alice = Peer::connect(lab.addrs()[0], "alice").await;
    let channels: Vec<String> = (0..8).map(|number| format!("channel-{number}")).collect();
    for number in 0..25 {
        for channel in &channels {
            alice.0.publish(channel, Uuid::new_v4(), &number.to_string()).await.unwrap();
        }
    }
    for _ in 0..25 * channels.len() {
        assert!(matches!(alice.next().await, ServerFrame::Ack(_)));
    }
    for channel in &channels {
        let mut reader = Peer::connect(lab.addrs()[0], "reader").await;
        assert_eq!(reader.subscribe(channel, Some(0)).await.0, 25);
        for (number, message) in (0..25).zip(reader.receives(1..=25).await) {
            assert_eq!(message.body, number.to_string());
        }
    }
}
