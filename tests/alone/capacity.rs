//! The load generator finds a capacity that is known.

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands, exit::Exit};
use serde_json::{Value, json};

use crate::lab;

/// What a server commits a second if each message is held for 2 ms, one after the other.
const CAPACITY_PER_S: f64 = 500.0;

/// Searches with short stages and a limit that noise doesn't reach, and returns how it ended and its report.
async fn search(args: &[&str]) -> (Exit, Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capacity.json");
    let words = ["hopline-loadtest", "capacity", "--json", file.to_str().unwrap(), "--channels", "10"];
    let small = ["--publishers", "10", "--subscribers", "10", "--stage", "4", "--p99-ms", "1000"];
    let cli = Cli::parse_from(words.iter().chain(&small).chain(args));
    let exit = commands::execute(cli.command).await.unwrap();
    (exit, serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_capacity_is_found_within_a_tenth() {
    let (_alone, lab) = lab(1, &["--fault-switches"]).await;
    let server = lab.server("a");
    let delay = json!({ "delays": { "persist": { "delay_ms": 2, "serial": true } } });
    server.switch_faults(&delay).await.unwrap();
    let (target, admin) = (server.public_addr().to_string(), server.admin_addr().to_string());
    let args = ["--target", &target, "--admin", &admin, "--from", "300"];
    let (exit, report) = search(&args).await;
    let found = report["capacity_per_s"].as_f64().unwrap_or_else(|| panic!("none was found: {report:#}"));
    assert!((found / CAPACITY_PER_S - 1.0).abs() < 0.1, "{found}: {report:#}");
    assert_eq!(exit, Exit::Pass);
    let stages = report["stages"].as_array().unwrap();
    assert!(report["first_out"].as_str().is_some(), "{report:#}");
    let says_why = |stage: &Value| {
        let said = |key: &str| !stage[key].as_array().unwrap().is_empty();
        said("exceeded") || said("invalid")
    };
    let failed: Vec<_> = stages.iter().filter(|stage| says_why(stage)).collect();
    assert!(!failed.is_empty() && failed.len() < stages.len(), "{report:#}");
    assert!(failed.iter().any(|stage| stage["rate_per_s"].as_f64().unwrap() > found));

    server.switch_faults(&json!({})).await.unwrap();
    let (exit, report) = search(&[&args[..4], &["--from", "600", "--to", "600"]].concat()).await;
    assert_eq!((exit, report["capacity_per_s"].as_f64()), (Exit::Pass, Some(600.0)), "{report:#}");
}
