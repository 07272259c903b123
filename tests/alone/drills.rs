//! Drills pass, and fail when what they check is broken as well. `cargo loadtest drill all` carries out the others.

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands, exit::Exit};
use serde_json::Value;
use tempfile::TempDir;

use crate::{MACHINE, browser};

/// Carries out a quick drill; returns how it ended, its report and the page.
async fn drill(name: &str, flags: &[&str]) -> (Exit, Value, TempDir) {
    let _alone = MACHINE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (json, html) = (file("drill.json"), file("drill.html"));
    let server = env!("CARGO_BIN_EXE_hopline");
    let args = ["hopline-loadtest", "drill", name, "--quick", "--server-binary", server];
    let files = ["--json", &json, "--html", &html];
    let cli = Cli::parse_from(args.iter().chain(&files).chain(flags));
    let exit = commands::execute(cli.command).await.unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    (exit, report["drills"][0].clone(), folder)
}

fn findings(drill: &Value, kind: &str) -> u64 {
    drill["audit"]["findings"][kind].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_crashes_loses_nothing_and_its_outage_is_shaded_in_the_page() {
    let (exit, drill, folder) = drill("redis-crash", &[]).await;
    assert_eq!(exit, Exit::Pass, "{drill:#}");
    let fault = &drill["faults"][0];
    let seconds = fault["to_s"].as_f64().unwrap() - fault["from_s"].as_f64().unwrap();
    assert!((5.0..10.0).contains(&seconds), "{fault}");
    assert!(drill["figures"]["detect_ms"].is_f64(), "{drill:#}");
    let page = browser::open(&folder.path().join("drill.html"), 1280);
    assert_eq!(page.console, [""; 0]);
    assert!(page.dom.contains("<g class=\"fault\">") && page.dom.contains("<title>Redis killed</title>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_gaps_open_fails_the_drill_of_the_broker() {
    let (exit, drill, _) = drill("redis-crash", &["--sabotage"]).await;
    assert_eq!(exit, Exit::Fail, "{drill:#}");
    assert!(findings(&drill, "lost") > 0, "{drill:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_before_the_commit_fails_the_drill_of_the_database() {
    let (exit, drill, _) = drill("postgres-crash", &["--sabotage"]).await;
    assert_eq!(exit, Exit::Fail, "{drill:#}");
    // What was rolled back is missing, and its number is another message's meanwhile.
    assert!(findings(&drill, "unstored") + findings(&drill, "corrupted") > 0, "{drill:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_say_where_it_was_fails_the_drill_of_the_server() {
    let (exit, drill, _) = drill("server-crash", &["--sabotage"]).await;
    assert_eq!(exit, Exit::Fail, "{drill:#}");
    assert!(findings(&drill, "lost") > 0, "{drill:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_commit_and_publish_loses_nothing() {
    let (exit, drill, _) = drill("crash-after-commit", &[]).await;
    assert_eq!(exit, Exit::Pass, "{drill:#}");
    let repeated = drill["signs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|sign| sign["sign"].as_str().is_some_and(|text| text.contains("repeated")));
    assert!(repeated.is_some_and(|sign| sign["count"].as_f64().unwrap() >= 1.0), "{drill:#}");
}
