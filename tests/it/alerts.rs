//! Every alert has a test in which it fires, one in which it does not, and a row in `docs/TELEMETRY.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::support::document::{read, table};

type Labels = BTreeMap<String, String>;

/// What a test of `promtool test rules` expects of the alerts with these labels.
struct Expectation {
    labels: Labels,
    fires: bool,
}

/// All files of a folder below `observability/prometheus/`, as one text.
fn text_of(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability/prometheus").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().join("\n")
}

/// The alerts of rule files: each has its name in a line and its labels in another. Its name is a label, too.
fn alerts(rules: &str) -> Vec<Labels> {
    let of_rule = |rule: &str| {
        let line = |key: &str| rule.lines().find_map(|line| line.trim().strip_prefix(key));
        let labels = line("labels: { ").expect("an alert has labels").trim_end_matches(" }");
        let labels = labels.split(", ").filter_map(|label| label.split_once(": "));
        let name = ("alertname", rule.lines().next().expect("an alert has a name"));
        labels.chain([name]).map(|(label, value)| (label.into(), value.into())).collect()
    };
    rules.split("- alert: ").skip(1).map(of_rule).collect()
}

/// What the test files expect: a line with `ALERTS{…}`, and further on one with the samples.
fn expectations(tests: &str) -> Vec<Expectation> {
    let of_test = |test: &str| {
        let labels = test.split('}').next().expect("a split text has a first part");
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(label, value)| (label.into(), value.trim_matches('"').into()));
        let samples = test.lines().find_map(|line| line.trim().strip_prefix("exp_samples:"));
        Expectation { labels: labels.collect(), fires: samples.expect("samples are expected") != " []" }
    };
    tests.split("expr: ALERTS{").skip(1).map(of_test).collect()
}

/// Alerts without a test of either kind that is about them alone, and tests of no alert.
fn untested(alerts: &[Labels], expectations: &[Expectation]) -> Vec<String> {
    let mut tested = BTreeSet::new();
    let mut wrong = Vec::new();
    for expectation in expectations {
        let mut labels = expectation.labels.clone();
        let state = labels.remove("alertstate");
        let is_about = |alert: &&Labels| labels.iter().all(|(label, value)| alert.get(label) == Some(value));
        match alerts.iter().filter(is_about).collect::<Vec<_>>()[..] {
            [alert] if state.as_deref() == Some("firing") => _ = tested.insert((alert, expectation.fires)),
            _ => wrong.push(format!("not about one alert that fires: {:?}", expectation.labels)),
        }
    }
    for alert in alerts {
        for (fires, what) in [(true, "fires"), (false, "does not fire")] {
            if !tested.contains(&(alert, fires)) {
                wrong.push(format!("no test in which it {what}: {alert:?}"));
            }
        }
    }
    wrong
}

#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let (alerts, expectations) = (alerts(&text_of("rules")), expectations(&text_of("tests")));
    assert!(alerts.len() > 10, "{alerts:?}");
    assert_eq!(untested(&alerts, &expectations), [""; 0]);
}

#[test]
fn an_alert_without_a_test_is_found() {
    let rules = "- alert: A\n  labels: { severity: warning, window: 1h }\n\
                 - alert: A\n  labels: { severity: warning, window: 6h }\n";
    let test = |window: &str, samples: &str| {
        format!(
            "- expr: ALERTS{{alertname=\"A\",alertstate=\"firing\",window=\"{window}\"}} # why\n  exp_samples:{samples}\n"
        )
    };
    let found = |tests: &[String]| untested(&alerts(rules), &expectations(&tests.concat())).len();
    let all =
        ["1h", "6h"].map(|window| [test(window, " []"), test(window, "\n - labels: 'ALERTS{}'")]).concat();
    assert_eq!(found(&all), 0);
    for missing in 0..all.len() {
        let mut rest = all.clone();
        rest.remove(missing);
        assert_eq!(found(&rest), 1, "without test {missing}");
    }
    assert_eq!(found(&[all.clone(), vec![test("2h", " []")]].concat()), 1, "of no alert");
    let vague = all.concat().replace(",window=\"1h\"", "");
    assert_eq!(found(&[vague]), 4, "about two alerts at once");
}

#[test]
fn the_table_lists_every_alert_with_its_severities() {
    let mut severities: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for alert in alerts(&text_of("rules")) {
        severities.entry(alert["alertname"].clone()).or_default().insert(alert["severity"].clone());
    }
    let rows = table(&read("TELEMETRY.md"), "alert").into_iter();
    let stated = rows.map(|row| (row[0].clone(), row[1].split(", ").map(str::to_owned).collect()));
    assert_eq!(stated.collect::<BTreeMap<_, BTreeSet<_>>>(), severities, "the table, then the rules");
}
