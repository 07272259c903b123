//! Two builds of the server, compared as an engineer does before merging.

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn two_builds_are_loaded_in_turn_on_labs_that_they_share() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |name: &str| folder.path().join(name).display().to_string();
    let (runs, json) = (in_folder("runs"), in_folder("report.json"));
    let build = env!("CARGO_BIN_EXE_hopline");
    let args = ["ab", "--baseline", build, "--candidate", build, "--labs=3", "--turns=2", "--rate=50"];
    let more = ["--servers=2", "--min-effect=100", "--runs", &runs, "--json", &json];
    let args = ["hopline-loadtest"].into_iter().chain(args).chain(more);
    commands::execute(Cli::parse_from(args).command).await.unwrap();

    let read = |file: &str| -> Value { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
    for turn in ["baseline-1-1", "candidate-1-1", "baseline-1-2", "candidate-1-2"] {
        let (build, _) = turn.split_once('-').unwrap();
        let report = read(&format!("{runs}/{turn}.json"));
        let servers: Vec<&String> = report["memory_bytes"].as_object().unwrap().keys().collect();
        assert_eq!(servers, [&format!("{build}-1"), &format!("{build}-2")]);
        assert!(report["audit"]["acknowledged"].as_u64().unwrap() > 0, "{}", report["audit"]);
        assert_eq!(report["audit"]["findings"]["lost"], 0);
    }
    // Whether the labs are valid is the machine's business, and so is what they show.
    let report = read(&json);
    let sides = [&report["baseline"], &report["candidate"]].map(|side| side.as_array().unwrap().len());
    assert_eq!(sides[0], sides[1]);
    assert!(sides[0] == 3 || report["result"] == "invalid", "{report}");
}
