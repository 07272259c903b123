//! The load generator says what a run proves, with its exit code, and notices what goes wrong in it.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands, exit::Exit, lab::free_port};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    lab_with,
    load::{load, row},
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
