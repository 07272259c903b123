//! A run of the load generator whose every message has a complete trace, and one that lacks what is asked of it.

use std::{fs, path::Path};

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands, exit::Exit};

/// What a short run ends with, and what its report says of traces. `name` is for its files.
async fn run(name: &str, flags: &[&str]) -> (Exit, serde_json::Value) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let [json, traces] = ["run", "traces"].map(|what| folder.join(format!("{name}-{what}.json")));
    let binary = concat!("--server-binary=", env!("CARGO_BIN_EXE_hopline"));
    let files = [format!("--json={}", json.display()), format!("--traces={}", traces.display())];
    let load = ["hopline-loadtest", "run", binary, "--rate=100", "--duration=3", "--warm-up=1"];
    let few = ["--channels=6", "--publishers=6", "--subscribers=24"];
    let args =
        load.into_iter().chain(few).chain(files.iter().map(String::as_str)).chain(flags.iter().copied());
    let exit = commands::execute(Cli::parse_from(args).command).await.unwrap();
    let mut report: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    (exit, report["traces"].take())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_a_run_has_a_complete_trace() {
    let (exit, traces) = run("complete", &["--trace-sample=1", "--complete-at-least=0.999"]).await;
    assert_eq!(traces["shortcomings"], serde_json::Value::Null, "{traces:#}");
    assert_eq!(traces["completeness"]["complete"], 400, "{traces:#}");
    // A busy machine may make the latencies invalid; how whole the traces are doesn't depend on that.
    assert!(matches!(exit, Exit::Pass | Exit::Invalid), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_traced_fails_where_complete_traces_are_asked_for() {
    let (exit, traces) = run("untraced", &["--trace-sample=0.000000001", "--complete-at-least=0"]).await;
    assert_eq!(traces["shortcomings"], serde_json::json!(["no sampled message was acknowledged"]));
    assert_eq!(exit, Exit::Fail);
}
