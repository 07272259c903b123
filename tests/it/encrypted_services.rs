//! PostgreSQL and Redis over TLS, with passwords and the rights of the compose stack.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::PathBuf,
};

use hopline_loadtest::lab::{Lab, free_port};
use redis::RedisResult;
use sqlx::Executor;

use crate::support::{
    Peer,
    certificates::{Authority, Identity},
    compose::{database_url, lab_with_users, migrate, redis_as_superuser, start_server},
    database, metric, metric_reaches, soon,
};

/// What all certificates of these tests are for.
const HOST: &str = "127.0.0.1";

/// Lets the lab's PostgreSQL speak TLS with a certificate.
async fn encrypt_postgres(lab: &Lab, Identity { certificate, key }: &Identity) {
    let data = lab.folder().join("postgres");
    let owner = fs::metadata(&data).unwrap();
    for (name, text) in [("server.crt", certificate), ("server.key", key)] {
        let path = data.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    database(lab).await.execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    database(lab).await.execute("SELECT pg_reload_conf()").await.unwrap();
    soon("TLS", async {
        let on = "SELECT setting = 'on' FROM pg_settings WHERE name = 'ssl'";
        while !sqlx::query_scalar::<_, bool>(on).fetch_one(&mut database(lab).await).await.unwrap() {}
    })
    .await;
}

/// Lets the lab's Redis speak TLS with a certificate; returns its port for that.
async fn encrypt_redis(lab: &Lab, [certificate, key]: &[PathBuf; 2]) -> u16 {
    let port = free_port().unwrap();
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let done: RedisResult<()> = redis::cmd("CONFIG")
        .arg("SET")
        .arg(&["tls-cert-file", &path(certificate), "tls-key-file", &path(key)])
        .arg(&["tls-auth-clients", "no", "tls-port", &port.to_string()])
        .query_async(&mut redis_as_superuser(lab).await)
        .await;
    done.unwrap();
    port
}

/// The flags of a server that reaches both over TLS, and believes in one authority.
fn flags(lab: &Lab, redis_port: u16, database_ca: &Authority, redis_ca: &Authority) -> [String; 4] {
    [
        format!("--database-url={}?sslmode=verify-full", database_url(lab, "hopline_server")),
        format!("--database-ca-file={}", database_ca.file().display()),
        format!("--redis-url=rediss://server@{HOST}:{redis_port}/"),
        format!("--redis-ca-file={}", redis_ca.file().display()),
    ]
}

async fn start(
    lab: &Lab,
    node: &str,
    flags: &[String],
) -> Result<std::sync::Arc<hopline_loadtest::lab::Server>, String> {
    start_server(lab, node, &flags.iter().map(String::as_str).collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_travel_encrypted_and_only_services_that_the_authority_vouches_for_are_believed() {
    let authority = Authority::new();
    let (lab, stranger) = (lab_with_users().await, Authority::new());
    assert!(migrate(&lab).status.success());
    let identity = authority.vouch_for(HOST);
    encrypt_postgres(&lab, &identity).await;
    let port = encrypt_redis(&lab, &authority.write_identity(&identity)).await;

    let right = flags(&lab, port, &authority, &authority);
    let (a, b) = tokio::try_join!(start(&lab, "a", &right), start(&lab, "b", &right)).unwrap();
    let mut reader = Peer::connect(b.public_addr(), "reader").await;
    reader.subscribe("general", None).await;
    let mut alice = Peer::connect(a.public_addr(), "alice").await;
    for seq in 1..=10 {
        assert_eq!(alice.publish("general", "x").await.seq, seq);
    }
    reader.receives(1..=10).await;
    assert!(metric(b.admin_addr(), "hopline_healed_messages_total", &[]).await < 1.0);
    let encrypted: Vec<bool> = sqlx::query_scalar(
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE application_name = 'hopline'",
    )
    .fetch_all(&mut database(&lab).await)
    .await
    .unwrap();
    assert_eq!(encrypted, [true]);
    let mut redis = redis_as_superuser(&lab).await;
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut redis).await.unwrap();
    let of_servers = clients.lines().filter(|line| line.contains("user=server"));
    assert!(of_servers.clone().all(|line| line.contains(&format!("laddr={HOST}:{port}"))), "{clients}");
    assert_eq!(of_servers.count(), 4, "{clients}");

    let wrong = start(&lab, "c", &flags(&lab, port, &stranger, &authority)).await.unwrap_err();
    assert!(wrong.contains("UnknownIssuer"), "{wrong}");
    let d = start(&lab, "d", &flags(&lab, port, &authority, &stranger)).await.unwrap();
    metric_reaches(d.admin_addr(), "hopline_broker_losses_total", &["closed"], 3.0).await;
    assert!(metric(d.admin_addr(), "hopline_broker_connected", &[]).await < 1.0);
    assert!(d.log().contains("invalid peer certificate"), "{}", d.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_the_certificate_of_another_one_is_refused() {
    let authority = Authority::new();
    let lab = lab_with_users().await;
    assert!(migrate(&lab).status.success());
    let other = authority.vouch_for("other.example");
    let port = encrypt_redis(&lab, &authority.write_identity(&other)).await;
    let flags = flags(&lab, port, &authority, &authority);
    let a = start(&lab, "a", &flags[2..]).await.unwrap();
    metric_reaches(a.admin_addr(), "hopline_broker_losses_total", &["closed"], 3.0).await;
    assert!(metric(a.admin_addr(), "hopline_broker_connected", &[]).await < 1.0);

    encrypt_postgres(&lab, &other).await;
    let refused = start(&lab, "b", &flags).await.unwrap_err();
    assert!(refused.contains("certificate not valid for name"), "{refused}");
}
