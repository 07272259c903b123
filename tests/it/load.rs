//! The load generator says what a run proves, with its exit code, and notices what goes wrong in it.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use hopline_loadtest::{
    cli::Cli,
    commands,
    exit::Exit,
    lab::{Lab, LabOptions, free_port},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    lab_with,
    load::{load, row},
    options,
};

#[track_caller]
fn assert_invalid(report: &Value, reason: &str) {
    let reasons = report["invalid"].as_array().unwrap();
    assert!(reasons.iter().any(|it| it.as_str().unwrap().contains(reason)), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requirement_that_fails_ends_the_run_early_if_that_is_wanted() {
    let lab = lab_with(1, &[]).await;
    let start = Instant::now();
    let flags = ["--warm-up=0", "--duration=300", "--rate=50", "--require=total.p99 < 1us", "--fail-fast"];
    let (exit, report) = load(&lab.addrs(), &flags).await;
    assert_eq!(exit, Exit::Fail);
    assert!(start.elapsed() < Duration::from_secs(100));
    assert_eq!(report["ended_early"], true);
    let required = &report["requirements"][0];
    assert_eq!(
        (&required["requirement"], &required["verdict"]),
        (&json!("total.p99 < 1us"), &json!("does_not_hold"))
    );
    assert!(required["measured"].as_f64().unwrap() > 0.001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_ends_the_run_early_and_fails_it() {
    let lab = lab_with(1, &["--fault-switches", "--check-interval-ms=50"]).await;
    lab.server("a").switch_faults(&json!({"lost_share": 0.05, "no_heal": true})).await.unwrap();
    let flags = ["--warm-up=0", "--duration=300", "--rate=50", "--fail-fast", "--subscribers=50"];
    let (exit, report) = load(&lab.addrs(), &flags).await;
    assert_eq!(exit, Exit::Fail);
    assert_eq!(report["ended_early"], true);
    assert!(report["audit"]["findings"]["lost"].as_u64().unwrap() > 0, "{}", report["audit"]);
    assert!(report["audit"]["examples"][0]["seq"].is_u64(), "{}", report["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_brings_tokens_to_servers_that_want_them_its_own_or_one_that_it_is_given() {
    let lab = Lab::start(LabOptions { auth: true, ..options(2, &[]) }).await.unwrap();
    let fixed = ["--warm-up=0", "--duration=2", "--rate=50", "--subscribers=20", "--reconnect=0.5:1"];
    let address = lab.addrs()[0].to_string();
    let without = ["hopline-loadtest", "run", "--trace-sample=0", "--target", &address];
    let refused = commands::execute(Cli::parse_from(without).command).await.unwrap_err();
    assert!(format!("{refused:#}").contains("from a token"), "{refused:#}");
    let secret = lab.folder().join("jwt-secret");
    let secret = secret.to_str().unwrap();
    let mint = ["--jwt-secret-file", secret, "--jwt-issuer=hopline-lab", "--jwt-audience=hopline"];
    let (exit, report) = load(&lab.addrs(), &[&fixed[..], &mint].concat()).await;
    // Invalid is a run on a busy machine, which is another matter.
    assert_ne!(exit, Exit::Fail);
    assert_eq!(report["clients"]["subscribers"], json!(20), "{:?}", report["invalid"]);
    let token = std::process::Command::new(env!("CARGO_BIN_EXE_hopline"))
        .args(["token", "--secret-file", secret, "--issuer=hopline-lab", "--audience=hopline"])
        .args(["--sub=one-for-all", "--read=load-*", "--write=load-*", "--expires-in=10m"])
        .output()
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, token.stdout).unwrap();
    let given = ["--token-file", file.path().to_str().unwrap()];
    let (exit, report) = load(&lab.addrs(), &[&fixed[..], &given].concat()).await;
    assert_ne!(exit, Exit::Fail);
    assert_eq!(report["clients"]["subscribers"], json!(20), "{:?}", report["invalid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_is_not_as_required_fails_the_run() {
    let lab = lab_with(1, &[]).await;
    let flags = ["--warm-up=0", "--duration=2", "--rate=50", "--require=audit.findings > 0"];
    assert_eq!(load(&lab.addrs(), &flags).await.0, Exit::Fail);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_required_and_was_not_measured_makes_a_run_invalid() {
    let lab = lab_with(1, &[]).await;
    let flags = ["--warm-up=0", "--duration=2", "--rate=50", "--require=recovery.p50 < 1s"];
    let (exit, report) = load(&lab.addrs(), &flags).await;
    assert_eq!(exit, Exit::Invalid);
    assert_eq!(report["requirements"][0]["verdict"], "not_measured");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_are_missing_make_a_run_invalid() {
    let lab = lab_with(1, &[]).await;
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let servers = [lab.addrs()[0], nobody];
    let (exit, report) =
        load(&servers, &["--warm-up=0", "--duration=2", "--rate=50", "--subscribers=100"]).await;
    assert_eq!(exit, Exit::Invalid);
    assert_invalid(&report, "only 50 of 100 subscribers connected");
    assert_invalid(&report, "only 15 of 30 publishers connected");
    assert_invalid(&report, "planned messages were sent");
    assert_eq!(report["co_located"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_a_server_refuses_make_a_run_invalid() {
    let lab = lab_with(1, &["--connections-max=60"]).await;
    let (exit, report) =
        load(&lab.addrs(), &["--warm-up=0", "--duration=2", "--rate=50", "--subscribers=50"]).await;
    assert_eq!(exit, Exit::Invalid);
    assert_invalid(&report, "of 30 publishers connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_server_it_is_the_environment_that_fails() {
    let nobody = format!("127.0.0.1:{}", free_port().unwrap());
    let cli = Cli::parse_from(["hopline-loadtest", "run", "--target", &nobody]);
    let error = commands::execute(cli.command).await.unwrap_err();
    assert!(error.to_string().contains("can't connect"), "{error:#}");
}

#[test]
fn what_can_not_be_required_is_a_mistake_of_usage() {
    let usage = |flag: &str| Cli::try_parse_from(["hopline-loadtest", "run", "--require", flag]).unwrap_err();
    let error = usage("latency.p99 < 5ms");
    assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()));
    assert!(error.to_string().contains("total.first, total.median, total.last"), "{error}");
    assert_eq!(usage("total.p99 < fast").exit_code(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_that_come_and_go_miss_nothing_that_is_theirs() {
    let lab = lab_with(2, &[]).await;
    let flags = [
        "--warm-up=0",
        "--channels=5",
        "--subscribers=60",
        "--reconnect=0.5:1.5",
        "--churn=0.3:1:0.5",
        "--popularity=zipf:1.1",
        "--body-bytes=20-400",
        "--rate-steps=50:2,150:4",
    ];
    let (_, report) = load(&lab.addrs(), &flags).await;
    let findings = report["audit"]["findings"].as_object().unwrap();
    assert!(findings.values().all(|count| count == 0), "{}", report["audit"]);
    assert_eq!(report["audit"]["sent"], 700);
    assert!(row(&report, "recovery")["count"].as_u64().unwrap() >= 30, "{}", report["latencies"]);
    assert!(row(&report, "join")["count"].as_u64().unwrap() >= 18, "{}", report["latencies"]);
}
