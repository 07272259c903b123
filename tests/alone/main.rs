//! Tests of what takes how long. No other test runs beside them, so that what they measure is not each other.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails where it stands")]

mod omission;
mod verdicts;

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use hopline_loadtest::{
    cli::Cli,
    commands,
    exit::Exit,
    lab::{Lab, LabOptions},
};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

/// One test at a time.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// A lab that has the machine to itself as long as the guard stands.
async fn lab(servers: usize, args: &[&str]) -> (MutexGuard<'static, ()>, Lab) {
    let alone = MACHINE.lock().await;
    let lab = Lab::start(LabOptions {
        servers,
        server_binary: Some(PathBuf::from(env!("CARGO_BIN_EXE_hopline"))),
        server_args: args.iter().map(ToString::to_string).collect(),
        ..LabOptions::default()
    });
    (alone, lab.await.expect("the lab starts"))
}

/// Runs the load generator against servers; returns its exit code and its report.
async fn load(servers: &[SocketAddr], flags: &[&str]) -> (Exit, Value) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let target: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let target = target.join(",");
    let fixed = ["hopline-loadtest", "run", "--trace-sample=0", "--target", &target, "--json"];
    let args = fixed.iter().copied().chain([report.to_str().unwrap()]).chain(flags.iter().copied());
    let exit = commands::execute(Cli::parse_from(args).command).await.unwrap();
    (exit, serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap())
}

/// The figures of the latency table's row with this name, and without origin and recipient.
fn row<'a>(report: &'a Value, measure: &str) -> &'a Value {
    let rows = report["latencies"].as_array().unwrap();
    let is_it = |row: &&Value| row["measure"] == measure && row["recipient"].is_null();
    rows.iter().find(is_it).unwrap_or_else(|| panic!("no {measure} in {rows:#?}"))
}
