//! Prometheus accepts the rules, their tests pass, and a wrong rule fails them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const FOLDER: &str = "observability/prometheus";

/// Mistakes, each with the test that finds it. Every occurrence is replaced.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("claims-production", "claims-production-1h", "le=\"", "le!=\""),
    ("claims-production", "claims-production-1h", "_bucket{", "_count{"),
    ("claims-production", "claims-production-1h", "origin=\"self\"", "origin=\"peer\""),
    ("claims-production", "claims-production-1h", ",origin=\"self\"", ""),
    ("claims-production", "claims-production-1h", "hop=\"total\"", "hop=~\".+\""),
    ("claims-production", "claims-production-1h", "> 14.4 *", "> 12.9 *"),
    ("claims-production", "claims-production-1h", "> 14.4 *", "> 15.9 *"),
    ("claims-production", "claims-production-1h", "and claim:hopline_over", "or claim:hopline_over"),
    ("claims-production", "claims-production-1h", ">= ", ">= 0.5 * "),
    ("claims-production", "claims-production-6h", "> 6 *", "> 14.4 *"),
    ("claims-production", "claims-production-3d", "[3d]", "[6h]"),
    ("claims-classroom", "claims-classroom-4m", "[4m]", "[20s]"),
    ("claims-classroom", "claims-classroom-4m", "[20s]", "[4m]"),
    ("claims-classroom", "claims-classroom-4m", "1 - sum(", "sum("),
    ("operations", "operations", "up{job=\"hopline\"} == 0", "up == 0"),
    ("operations", "operations", "hopline_broker_connected == 0", "hopline_broker_connected == 1"),
    ("operations", "operations", "or hopline_persist_connected", "and hopline_persist_connected"),
    ("operations", "operations", "for: 30s", "for: 5s"),
    ("operations", "operations", "increase(hopline_heal_failures_total[2m])", "hopline_heal_failures_total"),
    ("operations", "operations", "broker_down|slow_client", "broker_down"),
    (
        "operations",
        "operations",
        "increase(hopline_skipped_numbers_total[1h])",
        "hopline_skipped_numbers_total",
    ),
    ("operations", "operations", "outcome=\"busy\"", "outcome!=\"stored\""),
    ("operations", "operations", "> 0.05", "> 0.02"),
    ("operations", "operations", "hopline_outbox_age_seconds > 10", "hopline_outbox_age_seconds > 5"),
    ("operations", "operations", "{reason=\"slow_client\"}", ""),
    ("operations", "operations", "failed|dropped", "dropped"),
    ("operations", "operations", "> 0.01", "> 0.02"),
    ("operations", "operations", "le=\"0.01\"", "le=\"0.012\""),
];

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// Whether promtool is content, and what it says.
fn promtool(task: &str, files: &[PathBuf]) -> (bool, String) {
    let output = Command::new("promtool").args([task, "rules"]).args(files).output();
    let output =
        output.unwrap_or_else(|error| panic!("promtool: {error}. `scripts/setup --tests` installs it"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn prometheus_accepts_the_rules_and_their_tests_pass() {
    for (task, folder) in [("check", "rules"), ("test", "tests")] {
        let (passed, said) = promtool(task, &files(folder));
        assert!(passed, "promtool {task} rules: {said}");
    }
}

#[test]
fn a_wrong_rule_fails_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rules");
    for folder in ["rules", "tests"] {
        fs::create_dir_all(copy.join(folder)).unwrap();
    }
    for (rules, test, right, wrong) in MISTAKES {
        let (rules, test) = (format!("rules/{rules}.yaml"), format!("tests/{test}.yaml"));
        let source = fs::read_to_string(root.join(&rules)).unwrap();
        assert!(source.contains(right), "{right} does not stand in {rules}");
        fs::write(copy.join(rules), source.replace(right, wrong)).unwrap();
        fs::copy(root.join(&test), copy.join(&test)).unwrap();
        let (passed, said) = promtool("test", &[copy.join(test)]);
        assert!(!passed && said.contains("got:"), "{wrong} instead of {right}: {said}");
    }
}
