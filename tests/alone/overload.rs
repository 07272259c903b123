//! Under an overload what is accepted stays quick, and the command that says so can say otherwise.

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands, exit::Exit};
use serde_json::{Value, json};

use crate::MACHINE;

/// Five times the capacity for a short time; returns how it ended and the report.
async fn overload(args: &[&str]) -> (Exit, Value) {
    let _alone = MACHINE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("overload.json");
    let binary = env!("CARGO_BIN_EXE_hopline");
    let words = ["hopline-loadtest", "overload", "--json", file.to_str().unwrap(), "--server-binary", binary];
    let small =
        ["--servers=2", "--rate=2500", "--duration=8", "--quiet=10", "--channels=10", "--subscribers=20"];
    let cli = Cli::parse_from(words.iter().chain(&small).chain(args));
    let exit = commands::execute(cli.command).await.unwrap();
    (exit, serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_under_an_overload_stays_quick_and_all_is_normal_soon_after() {
    let (exit, report) = overload(&[]).await;
    assert_ne!(exit, Exit::Fail, "{report:#}");
    assert_eq!(report["exceeded"], json!([]), "{report:#}");
    assert!(report["during"]["refused_per_s"]["busy"].as_f64().unwrap() > 1000.0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overload_without_a_limit_of_the_wait_exceeds_what_may_be() {
    let (_, report) = overload(&["--server-arg=--persist-wait-max-ms=600000"]).await;
    let exceeded = report["exceeded"].as_array().unwrap();
    let is_latency = |what: &Value| what.as_str().unwrap().starts_with("p99 of total");
    assert!(exceeded.iter().any(is_latency), "{report:#}");
}
