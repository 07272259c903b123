//! The servers work with the rights that compose gives them, and these rights allow nothing else.

use std::fs;

use hopline_loadtest::lab::Lab;
use redis::{RedisResult, Value};
use sqlx::{Connection, Executor, PgConnection, postgres::PgConnectOptions};

use crate::support::{
    Peer,
    compose::{
        authority, cluster_with_users, database_url, lab_with_users, migrate, redis_as_superuser, secret,
        start_server,
    },
    database, metric,
};

const SECRETS: [&str; 7] = [
    "postgres_superuser",
    "postgres_owner",
    "postgres_server",
    "postgres_exporter",
    "redis_server",
    "redis_exporter",
    "redis_cluster",
];

/// PostgreSQL's code for missing rights.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

async fn migrated() -> Lab {
    let lab = lab_with_users().await;
    let output = migrate(&lab);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lab
}

async fn connect(lab: &Lab, role: &str, secret_of: &str) -> PgConnection {
    let options: PgConnectOptions = database_url(lab, role).parse().unwrap();
    PgConnection::connect_with(&options.password(&secret(secret_of))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_do_all_their_work_with_the_rights_of_the_stack_and_show_no_password() {
    let lab = migrated().await;
    let (a, b) = tokio::try_join!(start_server(&lab, "a", &[]), start_server(&lab, "b", &[])).unwrap();
    let mut reader = Peer::connect(b.public_addr(), "reader").await;
    reader.subscribe("general", None).await;
    let mut alice = Peer::connect(a.public_addr(), "alice").await;
    for number in 1..=10 {
        assert_eq!(alice.publish("general", &format!("message {number}")).await.seq, number);
    }
    reader.receives(1..=10).await;
    let mut late = Peer::connect(a.public_addr(), "late").await;
    assert_eq!(late.subscribe("general", Some(0)).await, (10, true, None));
    late.receives(1..=10).await;
    let ready = reqwest::get(format!("http://{}/readyz", a.public_addr())).await.unwrap();
    assert!(ready.text().await.unwrap().contains(r#""broker":"ok""#));
    assert!(metric(b.admin_addr(), "hopline_healed_messages_total", &[]).await < 1.0);

    let query = "SELECT DISTINCT usename::text FROM pg_stat_activity WHERE application_name = 'hopline'";
    let roles: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut database(&lab).await).await.unwrap();
    assert_eq!(roles, ["hopline_server"]);
    let mut redis = redis_as_superuser(&lab).await;
    let refused: Vec<Value> = redis::cmd("ACL").arg("LOG").query_async(&mut redis).await.unwrap();
    assert_eq!(refused, []);
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut redis).await.unwrap();
    assert_eq!(clients.matches("user=server").count(), 4, "{clients}");

    for server in [a, b] {
        let arguments = fs::read(format!("/proc/{}/cmdline", server.pid().unwrap())).unwrap();
        let shown = format!("{} {}", String::from_utf8_lossy(&arguments), server.log());
        for name in SECRETS {
            assert!(!shown.contains(&secret(name)), "{name} is shown");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_role_can_neither_change_nor_remove_nor_read_what_is_not_theirs() {
    let lab = migrated().await;
    let mut owner = connect(&lab, "hopline_owner", "postgres_owner").await;
    // What stands there is the owner's to write; what others add is not the servers' to read.
    owner.execute("INSERT INTO channels VALUES ('general', 1)").await.unwrap();
    let superuser: PgConnectOptions = lab.database_url().parse().unwrap();
    let mut superuser = PgConnection::connect_with(&superuser.database("hopline")).await.unwrap();
    superuser.execute("CREATE TABLE salaries (amount bigint)").await.unwrap();

    let mut server = connect(&lab, "hopline_server", "postgres_server").await;
    let forbidden = [
        "INSERT INTO messages SELECT * FROM messages",
        "UPDATE messages SET body = 'forged'",
        "DELETE FROM messages",
        "TRUNCATE messages",
        "INSERT INTO channels VALUES ('other', 7)",
        "UPDATE channels SET last_seq = 0",
        "DELETE FROM channels",
        "INSERT INTO outbox (channel, seq, accepted_us, queued_us, committed_us) VALUES ('general', 1, 0, 0, 0)",
        "DELETE FROM outbox",
        "UPDATE _sqlx_migrations SET checksum = ''",
        "DROP TABLE messages",
        "DROP FUNCTION append_messages",
        "ALTER TABLE messages DISABLE TRIGGER ALL",
        "CREATE TABLE mine (x int)",
        "CREATE TEMPORARY TABLE channels (x int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE ROLE mallory SUPERUSER",
        "SELECT * FROM salaries",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_reload_conf()",
        "COPY messages TO PROGRAM 'cat'",
        "SET ROLE hopline_owner",
    ];
    for statement in forbidden {
        let error = server.execute(statement).await.expect_err(statement);
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
        assert_eq!(code, INSUFFICIENT_PRIVILEGE, "{statement}: {error}");
    }
    let counter: i64 =
        sqlx::query_scalar("SELECT last_seq FROM channels").fetch_one(&mut server).await.unwrap();
    assert_eq!(counter, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_one_but_a_role_that_is_named_can_append() {
    let lab = migrated().await;
    let mut superuser = database(&lab).await;
    superuser.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'").await.unwrap();
    superuser.execute("GRANT CONNECT ON DATABASE hopline TO guest").await.unwrap();
    let mut owner = connect(&lab, "hopline_owner", "postgres_owner").await;
    owner.execute("GRANT USAGE ON SCHEMA public TO guest").await.unwrap();
    let options: PgConnectOptions = database_url(&lab, "guest").parse().unwrap();
    let mut guest = PgConnection::connect_with(&options.password("guest")).await.unwrap();
    for statement in [
        "SELECT append_messages('{}','{}','{}','{}','{}','{}','{}')",
        "SELECT append_messages_to_outbox('{}','{}','{}','{}','{}','{}','{}','{}','{}')",
        "SELECT remove_from_outbox('{1}')",
    ] {
        let error = guest.execute(statement).await.expect_err(statement);
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), INSUFFICIENT_PRIVILEGE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_user_of_redis_has_one_topic_and_nothing_else() {
    let lab = lab_with_users().await;
    let url = format!("redis://server:{}@{}/", secret("redis_server"), authority(lab.redis_url()));
    let client = redis::Client::open(url).unwrap();
    let mut server = client.get_multiplexed_async_connection().await.unwrap();
    let forbidden = [
        "GET key",
        "SET key value",
        "DEL key",
        "KEYS *",
        "EVAL return(1) 0",
        "FLUSHALL",
        "CONFIG GET *",
        "CONFIG SET maxmemory 1",
        "ACL LIST",
        "ACL SETUSER server allcommands",
        "CLIENT LIST",
        "CLIENT KILL TYPE pubsub",
        "PUBLISH other x",
        "SUBSCRIBE other",
        "PSUBSCRIBE *",
        "PUBSUB CHANNELS",
        "REPLICAOF 127.0.0.1 1",
        "SHUTDOWN",
    ];
    for line in forbidden {
        let words: Vec<&str> = line.split(' ').collect();
        let answer: RedisResult<Value> = redis::cmd(words[0]).arg(&words[1..]).query_async(&mut server).await;
        let error = answer.expect_err(line);
        assert_eq!(error.code(), Some("NOPERM"), "{line}: {error}");
    }
    let published: RedisResult<u64> =
        redis::cmd("PUBLISH").arg("hopline").arg("x").query_async(&mut server).await;
    assert_eq!(published, Ok(0));

    // Without a name and a password there is nothing at all.
    let anyone = redis::Client::open(format!("redis://{}/", authority(lab.redis_url()))).unwrap();
    let mut anyone = anyone.get_multiplexed_async_connection().await.unwrap();
    let answer: RedisResult<Value> = redis::cmd("PING").query_async(&mut anyone).await;
    assert_eq!(answer.unwrap_err().code(), Some("NOAUTH"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_user_of_a_cluster_has_its_partitions_and_nothing_else() {
    let lab = cluster_with_users().await;
    assert!(migrate(&lab).status.success());
    let mut readers = Vec::new();
    for node in ["a", "b"] {
        let server = start_server(&lab, node, &[]).await.unwrap();
        let mut reader = Peer::connect(server.public_addr(), "reader").await;
        reader.subscribe("general", None).await;
        readers.push((server, reader));
    }
    let mut alice = Peer::connect(readers[0].0.public_addr(), "alice").await;
    alice.publish("general", "x").await;
    for (server, reader) in &mut readers {
        reader.receives(1..=1).await;
        assert!(metric(server.admin_addr(), "hopline_healed_messages_total", &[]).await < 1.0);
    }

    let node = authority(lab.cluster().nodes()[0].url());
    let client = redis::Client::open(format!("redis://server:{}@{node}/", secret("redis_server"))).unwrap();
    let mut server = client.get_multiplexed_async_connection().await.unwrap();
    let forbidden = [
        "GET key",
        "SET key value",
        "PUBLISH hopline:{1} x",
        "SUBSCRIBE hopline:{1}",
        "SPUBLISH other:{1} x",
        "SSUBSCRIBE hopline",
        "PSUBSCRIBE *",
        "PUBSUB SHARDCHANNELS",
        "CLUSTER NODES",
        "CLUSTER FAILOVER",
        "CLUSTER RESET",
        "CONFIG GET *",
        "ACL LIST",
        "SHUTDOWN",
    ];
    for line in forbidden {
        let words: Vec<&str> = line.split(' ').collect();
        let answer: RedisResult<Value> = redis::cmd(words[0]).arg(&words[1..]).query_async(&mut server).await;
        let error = answer.expect_err(line);
        assert_eq!(error.code(), Some("NOPERM"), "{line}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_not_migrate_says_who_has_to() {
    let lab = lab_with_users().await;
    let before = start_server(&lab, "a", &[]).await.unwrap_err();
    assert!(before.contains("run `hopline migrate` as the role that owns it"), "{before}");
    assert!(migrate(&lab).status.success());
    let mut owner = connect(&lab, "hopline_owner", "postgres_owner").await;
    owner.execute("DELETE FROM _sqlx_migrations WHERE version > 1").await.unwrap();
    let older = start_server(&lab, "b", &[]).await.unwrap_err();
    assert!(older.contains("migration 2 is newer than the latest applied migration 1"), "{older}");
}
