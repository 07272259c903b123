//! What the program's exit code says before anything is measured.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails where it stands")]

use std::process::Command;

/// Nobody listens there: it is reserved.
const NOBODY: &str = "127.0.0.1:1";

/// Loads nobody.
fn run(files: u32, flags: &str) -> (Option<i32>, String) {
    execute(files, &format!("run --target {NOBODY} {flags}"))
}

/// Runs the program under a limit of open files; returns its exit code and what it said.
fn execute(files: u32, command: &str) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_hopline-loadtest");
    let script = format!("ulimit -n {files} && exec {program} {command}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn too_few_open_files_are_the_environments_fault_and_told_before_the_start() {
    let (code, said) = run(200, "--subscribers 300");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("330 clients need 458 open files, and the limit is 200. Raise it"), "{said}");
    assert!(!said.contains("connecting"), "{said}");
}

#[test]
fn arguments_that_contradict_one_another_are_mistakes_of_usage_and_told_before_the_start() {
    for (command, why) in [
        ("ab --baseline /bin/true --candidate /bin/true --broker kafka", "they would share one outbox"),
        ("bandwidth --servers 2,3 --subscribers 4,5", "there is nothing to measure"),
        ("capacity --claim brodcast", "has no latency claim `brodcast`"),
    ] {
        let (code, said) = execute(1_000, command);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why) && !said.contains("starting"), "{said}");
    }
}

#[test]
fn servers_that_are_not_there_are_the_environments_fault() {
    let (code, said) = run(1_000, "--subscribers 3");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("can't connect to 127.0.0.1:1"), "{said}");
}

#[test]
fn unknown_figures_and_bad_scenarios_are_mistakes_of_usage() {
    let (code, said) = run(1_000, "--require 'totl.p99 < 1ms'");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("there is no figure") && said.contains("total.last"), "{said}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "rate_per_s = 500\nchannel = 5\n").unwrap();
    let (code, said) = run(1_000, &format!("--scenario {}", file.path().display()));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("line 2") && said.contains("unknown field `channel`"), "{said}");
}
