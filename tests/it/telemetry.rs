//! `docs/TELEMETRY.md` lists every metric as a running server renders it.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    Peer,
    document::{read, table},
    lab_with, metric, metric_reaches, soon,
};

/// A metric, as the table states it or as `/metrics` renders it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Metric {
    kind: String,
    help: String,
    /// The values of each label, over all series.
    labels: BTreeMap<String, BTreeSet<String>>,
}

type Metrics = BTreeMap<String, Metric>;

/// Of the table `name | kind | unit | labels | meaning`. Labels are written `one: a, b; other: c`.
fn stated(document: &str) -> Metrics {
    let rows = table(document, "name").into_iter().map(|row| {
        let [name, kind, _unit, labels, meaning] = row.try_into().expect("a row has five cells");
        let labels = labels
            .split("; ")
            .filter_map(|label| label.split_once(": "))
            .map(|(label, values)| (label.to_owned(), values.split(", ").map(str::to_owned).collect()));
        (name, Metric { kind, help: meaning, labels: labels.collect() })
    });
    rows.collect()
}

/// Of the text format of Prometheus.
fn rendered(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let comment = |kind: &str| line.strip_prefix(kind)?.split_once(' ');
        if let Some((name, help)) = comment("# HELP ") {
            metrics.entry(name.into()).or_default().help = help.into();
        } else if let Some((name, kind)) = comment("# TYPE ") {
            metrics.entry(name.into()).or_default().kind = kind.into();
        } else {
            let (name, rest) = line.split_once(['{', ' ']).expect("a series has a value");
            let parts = ["_bucket", "_sum", "_count"];
            let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
            let name = of_histogram.filter(|name| metrics.contains_key(*name)).unwrap_or(name);
            let metric = metrics.get_mut(name).expect("a type stands before its series");
            for (label, value) in series_labels(rest).filter(|(label, _)| *label != "le") {
                metric.labels.entry(label.into()).or_default().insert(value.into());
            }
        }
    }
    metrics
}

/// Of `one="a",other="b"} 0`. No value holds a quotation mark.
fn series_labels(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = text.split('"');
    std::iter::from_fn(move || Some((parts.next()?.trim_matches([',', '=']), parts.next()?)))
}

/// The units that the names end with, as the table spells them.
fn unit(name: &str) -> &str {
    let base = name.strip_suffix("_total").unwrap_or(name);
    let known = ["seconds", "messages", "bytes"].into_iter().find(|unit| base.ends_with(&format!("_{unit}")));
    known.unwrap_or("–")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_lists_every_metric_with_its_kind_labels_and_help() {
    let lab = lab_with(1, &[]).await;
    let url = format!("http://{}/metrics", lab.server("a").admin_addr());
    let rendered = rendered(&reqwest::get(url).await.unwrap().text().await.unwrap());
    let document = read("TELEMETRY.md");
    let stated = stated(&document);
    for name in stated.keys().chain(rendered.keys()) {
        assert_eq!(stated.get(name), rendered.get(name), "{name}: the table, then the server");
    }
    for row in table(&document, "name") {
        assert_eq!(row[2], unit(&row[0]), "the unit of {}", row[0]);
    }
}

#[test]
fn a_rendered_metric_is_read_with_all_its_labels() {
    let text = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n\
        a_seconds_bucket{hop=\"x\",to=\"y z\",le=\"0.1\"} 0\na_seconds_sum{hop=\"w\"} 0\n\n\
        # HELP b_total Things; all.\n# TYPE b_total counter\nb_total 0\n";
    let table = "| name | kind | unit | labels | meaning |\n|---|---|---|---|---|\n\
        | `a_seconds` | histogram | seconds | `hop`: `w`, `x`; `to`: `y z` | Time. |\n\
        | `b_total` | counter | – | – | Things; all. |\n";
    assert_eq!(rendered(text), stated(table));
    for (right, wrong) in [("`w`, ", ""), ("counter", "gauge"), ("Time", "Space"), ("`b_", "`c_")] {
        assert_ne!(rendered(text), stated(&table.replacen(right, wrong, 1)), "{wrong} passed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writers_connections_are_counted_as_they_come_and_go() {
    let lab = lab_with(1, &["--persist-writers=3"]).await;
    let admin = lab.server("a").admin_addr();
    metric_reaches(admin, "hopline_persist_connected", &[], 3.0).await;
    lab.postgres().kill().await;
    let mut peer = Peer::connect(lab.server("a").public_addr(), "alice").await;
    soon("the loss of a connection", async {
        // A writer notices when it writes; three channels reach different writers, sooner or later.
        for channel in 0.. {
            peer.0.publish(&format!("c{channel}"), uuid::Uuid::new_v4(), "hello").await.unwrap();
            peer.next().await;
            if metric(admin, "hopline_persist_connected", &[]).await < 1.0 {
                break;
            }
        }
    })
    .await;
    lab.postgres().start().await.unwrap();
    metric_reaches(admin, "hopline_persist_connected", &[], 3.0).await;
    assert!(metric(admin, "hopline_persist_connected", &[]).await < 4.0);
}
