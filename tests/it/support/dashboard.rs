//! The queries of Grafana's dashboards, so that tests can ask them elsewhere.

use std::{fs, path::Path};

use serde_json::Value;

/// A query of Prometheus in a panel.
pub(crate) struct Query {
    /// The dashboard's file, without its folder.
    pub(crate) dashboard: String,
    /// The panel's title; unique on the dashboard.
    pub(crate) panel: String,
    /// The query, with Grafana's variables.
    pub(crate) expr: String,
    /// Whether it asks for exemplars as well.
    pub(crate) exemplars: bool,
}

impl Query {
    /// The query as Grafana sends it when all jobs and nodes are chosen. `interval` stands for
    /// `$__rate_interval`, at least four times the scrape interval; `range` is the time shown.
    pub(crate) fn expanded(&self, interval: &str, range: &str) -> String {
        let variables = [
            ("$__rate_interval", interval),
            ("$__range", range),
            ("${job}", ".+"),
            ("$job", ".+"),
            ("$node", ".+"),
        ];
        let replace = |expr: String, (name, value): (&str, &str)| expr.replace(name, value);
        let expr = variables.into_iter().fold(self.expr.clone(), replace);
        assert!(!expr.contains('$'), "an unknown variable: {expr}");
        expr
    }
}

/// All queries of Prometheus of all committed dashboards.
pub(crate) fn queries() -> Vec<Query> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability/grafana/dashboards");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| queries_of(file)).collect()
}

fn queries_of(file: &Path) -> Vec<Query> {
    let json: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let query = |panel: &Value, target: &Value| {
        Some(Query {
            dashboard: name.to_owned(),
            panel: panel["title"].as_str()?.to_owned(),
            expr: target["expr"].as_str()?.to_owned(),
            exemplars: target["exemplar"] == true,
        })
    };
    let panels = list(&json["panels"]);
    panels
        .iter()
        .flat_map(|panel| list(&panel["targets"]).into_iter().filter_map(move |target| query(panel, &target)))
        .collect()
}
