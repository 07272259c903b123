use std::time::Duration;

use super::*;
use crate::plan::Workload;

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|it| it.starts_with(line))
}

#[track_caller]
fn assert_has(text: &str, line: &str) {
    assert!(has(text, line), "no {line} in\n{text}");
}

#[test]
fn every_series_is_there_from_the_start() {
    let text = Metrics::new().render().unwrap();
    for hop in HOPS {
        assert_has(
            &text,
            &format!("hopline_loadtest_hop_duration_seconds_count{{hop=\"{}\"}} 0", hop.as_str()),
        );
    }
    for outcome in ["planned", "sent", "acknowledged", "delivered", "refused"] {
        assert_has(&text, &format!("hopline_loadtest_messages_total{{outcome=\"{outcome}\"}} 0"));
    }
    for outcome in ["ended", "exported", "failed", "dropped"] {
        assert_has(&text, &format!("hopline_loadtest_spans_total{{outcome=\"{outcome}\"}} 0"));
    }
    for role in ["publisher", "subscriber"] {
        assert_has(&text, &format!("hopline_loadtest_clients{{role=\"{role}\"}} 0"));
    }
    assert_has(&text, "hopline_loadtest_send_lag_seconds_count 0");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_traced_message_is_an_example_of_its_bucket() {
    let metrics = Metrics::new();
    metrics.hop(Hop::Total, 700, None);
    let without = metrics.render().unwrap();
    metrics.hop(Hop::Total, 700, Some(TraceId::from(7)));
    let with = metrics.render().unwrap();
    let bucket = "hopline_loadtest_hop_duration_seconds_bucket{le=\"0.00082\",hop=\"total\"}";
    assert!(has(&without, &format!("{bucket} 1")) && !without.contains("trace_id"));
    assert_has(&with, &format!("{bucket} 2 # {{trace_id=\"00000000000000000000000000000007\"}} 0.0007 "));
}

#[test]
fn what_is_due_is_planned() {
    let metrics = Metrics::new();
    let clock = Clock::starting_in(Duration::ZERO);
    let workload =
        Workload { rate_per_s: 100_000.0, duration: Duration::from_millis(1), ..Workload::default() };
    let plan = Arc::new(Plan::new(&Workload { warm_up: Duration::ZERO, ..workload }));
    metrics.begin(plan, clock, None);
    while clock.now_us() < 1_000 {
        std::thread::yield_now();
    }
    assert_has(&metrics.render().unwrap(), "hopline_loadtest_messages_total{outcome=\"planned\"} 100");
    assert_has(&metrics.render().unwrap(), "hopline_loadtest_messages_total{outcome=\"planned\"} 100");
}

#[tokio::test]
async fn they_are_served_as_open_metrics() {
    let serving = serve(Arc::new(Metrics::new()), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let answer = reqwest::get(format!("http://{}/metrics", serving.addr())).await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(answer.text().await.unwrap().ends_with("# EOF\n"));
}

/// The rows of `docs/TELEMETRY.md` that begin like this, as cells without backticks.
fn documented(beginning: &str) -> Vec<Vec<String>> {
    let rows = include_str!("../../../docs/TELEMETRY.md").lines().filter(|line| line.starts_with(beginning));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect())
        .collect()
}

#[test]
fn the_document_lists_every_metric_as_it_is_rendered() {
    let text = Metrics::new().render().unwrap();
    let types: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let rows = documented("| `hopline_loadtest_");
    assert_eq!(rows.len(), types.len());
    for row in rows {
        let [name, kind, _, labels, meaning] = &row[..] else { panic!("{row:?}") };
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(types.contains(&&*format!("{family} {kind}")), "{family} {kind}");
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {family} "))).unwrap();
        assert!(meaning.starts_with(help.trim_end_matches('.')), "{meaning}, but {help}");
        if let Some((label, values)) = labels.split_once(": ") {
            let mut documented: Vec<String> =
                values.split(", ").map(|value| format!("{label}=\"{value}\"")).collect();
            let series = text.lines().filter(|line| line.starts_with(&**name) && !line.contains("_bucket"));
            let mut rendered: Vec<String> = series
                .filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0.to_owned()))
                .collect();
            rendered.sort_unstable();
            rendered.dedup();
            documented.sort_unstable();
            assert_eq!(documented, rendered);
        }
    }
}
