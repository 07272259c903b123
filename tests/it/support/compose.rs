//! A lab whose PostgreSQL and Redis have the users of the compose stack, made from its own files.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use hopline_loadtest::lab::{Broker, Lab, Redis, Server};
use redis::aio::MultiplexedConnection;
use reqwest::Url;

use super::{lab_over, lab_with};

const SUPERUSER_PASSWORD: &str = "superuser";

/// Makes the users in a lab that has no servers yet.
pub(crate) async fn lab_with_users() -> Lab {
    let lab = lab_with(0, &[]).await;
    make_roles(&lab);
    make_users(lab.redis(), "redis-users.acl").await;
    lab
}

/// The same on all nodes of a cluster, with the users that the stack has there.
pub(crate) async fn cluster_with_users() -> Lab {
    let lab = lab_over(Broker::RedisSharded, 0).await;
    make_roles(&lab);
    for node in lab.cluster().nodes() {
        make_users(node, "redis-cluster-users.acl").await;
    }
    lab
}

async fn make_users(node: &Redis, file: &str) {
    let client = redis::Client::open(node.url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    // The users of the stack take all rights from the one that the lab has.
    let superuser = format!("user superuser on >{SUPERUSER_PASSWORD} +@all ~* &*");
    for line in superuser.lines().chain(redis_users(file).lines()) {
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("user"));
        let made: redis::RedisResult<()> =
            redis::cmd("ACL").arg("SETUSER").arg(words.collect::<Vec<_>>()).query_async(&mut redis).await;
        made.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

/// `hopline migrate`, as the owner of the schema.
pub(crate) fn migrate(lab: &Lab) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
    command.arg("migrate").env("DATABASE_URL", database_url(lab, "hopline_owner"));
    command.env("HOPLINE_DATABASE_PASSWORD_FILE", secret_file("postgres_owner")).output().unwrap()
}

/// A server that has the rights of the servers in the stack, with further flags.
pub(crate) async fn start_server(lab: &Lab, node: &str, args: &[&str]) -> Result<Arc<Server>, String> {
    let own = [
        "--no-migrate".to_owned(),
        format!("--database-url={}", database_url(lab, "hopline_server")),
        format!("--database-password-file={}", secret_file("postgres_server").display()),
        format!("--redis-url={}", redis_urls(lab)),
        format!("--redis-password-file={}", secret_file("redis_server").display()),
        "--redis-topic=hopline".to_owned(),
    ];
    let args: Vec<&str> = own.iter().map(String::as_str).chain(args.iter().copied()).collect();
    lab.start_server(node, &args).await.map_err(|error| error.to_string())
}

/// Where the stack's servers find Redis, or a cluster's nodes, in the lab; without a password.
fn redis_urls(lab: &Lab) -> String {
    let urls: Vec<&str> = match lab.broker() {
        Broker::RedisSharded => lab.cluster().nodes().iter().map(Redis::url).collect(),
        _ => vec![lab.redis_url()],
    };
    urls.into_iter().map(|url| format!("redis://server@{}/", authority(url))).collect::<Vec<_>>().join(",")
}

/// The stack's database in the lab's PostgreSQL, without a password.
pub(crate) fn database_url(lab: &Lab, role: &str) -> String {
    format!("postgres://{role}@{}/hopline", authority(lab.database_url()))
}

/// The password in one of the stack's secrets.
pub(crate) fn secret(name: &str) -> String {
    std::fs::read_to_string(secret_file(name)).unwrap().trim_end().to_owned()
}

pub(crate) async fn redis_as_superuser(lab: &Lab) -> MultiplexedConnection {
    let url = format!("redis://superuser:{SUPERUSER_PASSWORD}@{}/", authority(lab.redis_url()));
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// Host and port of a URL.
pub(crate) fn authority(url: &str) -> String {
    let url = Url::parse(url).unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
}

fn make_roles(lab: &Lab) {
    let superuser = Url::parse(lab.database_url()).unwrap();
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"])
        .arg(compose("postgres.sql"))
        .env("HOPLINE_SECRETS", compose("secrets"))
        .env("PGHOST", superuser.host_str().unwrap())
        .env("PGPORT", superuser.port().unwrap().to_string())
        .env("PGUSER", superuser.username())
        .env("PGPASSWORD", superuser.password().unwrap())
        .env("PGDATABASE", superuser.path().trim_start_matches('/'))
        .output();
    let output = output.expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn redis_users(file: &str) -> String {
    let script = Command::new(compose("redis-users")).args([compose(file), compose("secrets")]).output();
    let Output { status, stdout, stderr } = script.expect("the script runs");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn secret_file(name: &str) -> PathBuf {
    compose("secrets").join(name)
}

fn compose(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compose").join(name)
}
