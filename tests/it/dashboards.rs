//! The queries of Grafana's dashboards: they parse, and name metrics, labels and values that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use crate::support::{
    dashboard::queries,
    document::{read, tables},
};

/// Metrics of PostgreSQL's and Redis' exporters and of Prometheus itself.
const OTHERS: &[&str] = &[
    "ALERTS",
    "pg_stat_database_deadlocks",
    "pg_stat_database_numbackends",
    "pg_stat_database_tup_fetched",
    "pg_stat_database_tup_inserted",
    "pg_stat_database_xact_commit",
    "pg_stat_database_xact_rollback",
    "redis_commands_duration_seconds_total",
    "redis_commands_total",
    "redis_connected_clients",
    "redis_cpu_sys_seconds_total",
    "redis_cpu_user_seconds_total",
    "redis_memory_used_bytes",
    "redis_net_input_bytes_total",
    "redis_net_output_bytes_total",
    "redis_pubsub_channels",
    "up",
];

type Labels = BTreeMap<String, BTreeSet<String>>;

/// Every metric of ours with its labels and their values.
fn known() -> BTreeMap<String, Labels> {
    let listed = tables(&read("TELEMETRY.md"), "name");
    let labels = |text: &str| {
        let pairs = text.split("; ").filter_map(|label| label.split_once(": "));
        pairs
            .map(|(label, values)| (label.to_owned(), values.split(", ").map(str::to_owned).collect()))
            .collect()
    };
    listed.into_iter().map(|row| (row[0].clone(), labels(&row[3]))).collect()
}

/// What a query names that does not exist: metrics, labels to sum by, labels and values to choose by.
fn unknown(expr: &str, known: &BTreeMap<String, Labels>) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut parts = expr.split('{');
    let mut before = parts.next().unwrap_or_default();
    for part in parts {
        let (matchers, after) = part.split_once('}').expect("a selector ends");
        let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let is_ours = name.starts_with("hopline_");
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        match known.get(name).or_else(|| known.get(base?)) {
            Some(labels) => {
                let by = before.rsplit_once("by (").and_then(|(_, by)| by.split(')').next());
                unknown.extend(
                    unknown_labels(by.unwrap_or_default(), matchers, labels)
                        .map(|what| format!("{name}: {what}")),
                );
            }
            None if is_ours || !OTHERS.contains(&name) => unknown.push(name.to_owned()),
            None => {}
        }
        before = after;
    }
    unknown
}

fn unknown_labels(by: &str, matchers: &str, labels: &Labels) -> impl Iterator<Item = String> {
    const OF_PROMETHEUS: [&str; 3] = ["job", "le", "node"];
    let has = |label: &str| OF_PROMETHEUS.contains(&label) || labels.contains_key(label);
    let mut unknown: Vec<String> =
        by.split(", ").filter(|label| !label.is_empty() && !has(label)).map(str::to_owned).collect();
    for (label, values) in matchers.split("\",").filter_map(|matcher| matcher.split_once('=')) {
        let values = values.trim_matches(['~', '"']).split('|');
        match labels.get(label) {
            Some(known) => unknown.extend(values.filter(|value| !known.contains(*value)).map(str::to_owned)),
            None if OF_PROMETHEUS.contains(&label) => {}
            None => unknown.push(label.to_owned()),
        }
    }
    unknown.into_iter()
}

#[test]
fn every_query_names_metrics_labels_and_values_that_exist() {
    let known = known();
    let queries = queries();
    assert!(queries.len() > 100);
    let found = queries.iter().flat_map(|query| {
        let unknown = unknown(&query.expr.replace("${job}", "$job"), &known);
        unknown.into_iter().map(|what| format!("{}: {}: {what}", query.dashboard, query.panel))
    });
    assert_eq!(found.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_metric_has_a_panel() {
    let known = known();
    let asked: String = queries().into_iter().map(|query| query.expr).collect();
    // The library that measures the process tells more than anyone looks at.
    let names = OTHERS.iter().copied().chain(known.keys().map(String::as_str));
    for name in names.filter(|name| !name.starts_with("process_virtual_")) {
        let is_asked =
            ["", "_bucket", "_sum"].iter().any(|suffix| asked.contains(&format!("{name}{suffix}{{")));
        assert!(is_asked, "no panel asks for {name}");
    }
}

#[test]
fn exemplars_are_asked_of_what_has_them() {
    let asking: Vec<_> = queries().into_iter().filter(|query| query.exemplars).collect();
    assert!(!asking.is_empty());
    for query in asking {
        let of_servers = query.expr.contains("hopline_broadcast_seconds_bucket{");
        assert!(of_servers || query.expr.contains(r#"hop="total""#), "{}: {}", query.panel, query.expr);
    }
}

#[test]
fn what_does_not_exist_is_found() {
    let known = known();
    let bad = [
        "rate(hopline_deliverys_total{job=\"x\"}[5m])",
        "sum by (colour) (hopline_connections{node=\"a\"})",
        "hopline_publishes_total{outcome=\"store\"}",
        "hopline_publishes_total{outcome=~\"stored|store\"}",
        "hopline_connections{origin=\"self\"}",
        "hopline_connections{} / nothing{}",
    ];
    for expr in bad {
        assert_eq!(unknown(expr, &known).len(), 1, "{expr}");
    }
    let good = "sum by (le, hop) (rate(hopline_hop_duration_seconds_bucket{job=~\"x\",hop=~\"send|accept\"}[5m])) / up{}";
    assert_eq!(unknown(good, &known), [""; 0]);
}

/// Prometheus' own parser reads them as rules.
#[test]
fn prometheus_parses_every_query() {
    let rules = |exprs: &[String]| {
        let rules: Vec<_> = (0..)
            .zip(exprs)
            .map(|(nth, expr)| serde_json::json!({ "record": format!("query:number{nth}"), "expr": expr }))
            .collect();
        // YAML reads JSON.
        let text = serde_json::json!({ "groups": [{ "name": "queries", "rules": rules }] }).to_string();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("queries.yaml");
        fs::write(&file, text).unwrap();
        let checked = Command::new("promtool").args(["check", "rules"]).arg(file).output();
        let checked = checked.expect("promtool is installed: it comes with Prometheus");
        (checked.status.success(), String::from_utf8_lossy(&checked.stderr).into_owned())
    };
    let mut exprs: Vec<String> = queries().iter().map(|query| query.expanded("20s", "15m")).collect();
    let (parsed, why) = rules(&exprs);
    assert!(parsed, "{why}");
    exprs.push("sum(rate(up[5m])".to_owned());
    assert!(!rules(&exprs).0, "a query without its last bracket passed");
}
