//! The load generator, as its users run it.

use std::net::SocketAddr;

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands, exit::Exit};
use serde_json::Value;

/// Runs the load generator against servers; returns its exit code and its report.
pub(crate) async fn load(servers: &[SocketAddr], flags: &[&str]) -> (Exit, Value) {
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
pub(crate) fn row<'a>(report: &'a Value, measure: &str) -> &'a Value {
    let rows = report["latencies"].as_array().unwrap();
    let is_it = |row: &&Value| row["measure"] == measure && row["recipient"].is_null();
    rows.iter().find(is_it).unwrap_or_else(|| panic!("no {measure} in {rows:#?}"))
}
