use std::time::Duration;

use hdrhistogram::Histogram;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::*;

const LIMITS: Limits = Limits { min_effect: 0.05, min_effect_ms: 0.02, run_noise: 0.1 };

/// A report whose hops last about so many microseconds; the whole run is off by some percent, each second by others.
fn run(number: u64, persist_us: f64) -> Run {
    let mut random = StdRng::seed_from_u64(number);
    let whole_run = random.random_range(0.96..1.04);
    let mut series = |measure: &str, us: f64| -> Value {
        let mut whole = histogram();
        let slices: Vec<String> = (0..20)
            .map(|_| {
                let second = us * whole_run * random.random_range(0.9..1.1);
                let mut slice = histogram();
                for _ in 0..200 {
                    let ns = Duration::from_secs_f64(second * random.random_range(0.8..1.2) / 1e6).as_nanos();
                    slice.record(u64::try_from(ns / 1_000).unwrap()).unwrap();
                }
                whole.add(&slice).unwrap();
                crate::archive::encode(&slice)
            })
            .collect();
        json!({ "measure": measure, "histogram": crate::archive::encode(&whole), "slices": slices })
    };
    let rows = [
        series("accept", 8.0),
        series("persist", persist_us),
        series("broadcast", 200.0),
        series("total", 800.0 + persist_us),
        series("send_lag", 50.0),
    ];
    let report = json!({
        "workload": { "rate_per_s": 200 },
        "machine": { "cpu": "c", "cores": 2 },
        "cpu": { "servers_us_per_delivery": 30.0 * whole_run },
        "latencies": rows,
        "audit": { "findings": { "lost": 0 } },
        "invalid": [],
    });
    Run::parse(&format!("run {number}"), &report.to_string()).unwrap()
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap()
}

fn runs(numbers: std::ops::Range<u64>, persist_us: f64) -> Vec<Run> {
    numbers.map(|number| run(number, persist_us)).collect()
}

#[test]
fn equal_builds_do_not_change_ten_times() {
    for turn in 0..10 {
        let (one, other) =
            (runs(turn * 20..turn * 20 + 7, 400.0), runs(turn * 20 + 7..turn * 20 + 14, 400.0));
        for count in [1, 7] {
            let comparison = Comparison::of(&one[..count], &other[..count], &LIMITS);
            assert_eq!(comparison.change(), Change::None, "{comparison:#?}");
            assert_eq!(comparison.moved, None);
        }
    }
}

#[test]
fn a_tenth_more_in_persist_is_found_in_seven_pairs_and_named() {
    let comparison = Comparison::of(&runs(0..7, 400.0), &runs(7..14, 440.0), &LIMITS);
    assert_eq!(comparison.method, Method::Pairs);
    assert!(comparison.is_regression());
    assert_eq!(comparison.moved.as_deref(), Some("persist"));
    let worse = comparison.compared.iter().filter(|one| one.change == Change::Worse);
    assert!(worse.map(|one| one.figure.series.as_str()).all(|name| name == "persist"));
}

#[test]
fn one_run_a_side_tells_of_a_large_change_only() {
    let compare = |us| Comparison::of(&runs(0..1, 400.0), &runs(1..2, us), &LIMITS);
    assert_eq!(compare(440.0).method, Method::Parts);
    assert_eq!(compare(440.0).change(), Change::None);
    assert_eq!(compare(1_000.0).change(), Change::Worse);
    assert_eq!(compare(160.0).change(), Change::Better);
}

#[test]
fn what_is_too_small_in_milliseconds_is_no_change() {
    let (was, is) = (runs(0..5, 40.0), runs(5..9, 55.0));
    let persist = |limits| {
        let comparison = Comparison::of(&was, &is, &limits);
        assert_eq!(comparison.method, Method::Runs);
        comparison.compared.iter().find(|one| one.figure.series == "persist").unwrap().change
    };
    assert_eq!(persist(LIMITS), Change::None);
    assert_eq!(persist(Limits { min_effect_ms: 0.0, ..LIMITS }), Change::Worse);
}

#[test]
fn runs_that_differ_in_more_than_the_build_prove_nothing() {
    let mut other = run(1, 400.0);
    assert_eq!(reasons(&[run(0, 400.0)], &[other.clone()]), [""; 0]);
    other.workload = json!({ "rate_per_s": 300 });
    other.machine.1 = 4;
    other.invalid.push("too late".into());
    assert_eq!(
        reasons(&[run(0, 400.0)], &[other]),
        [
            "run 1: too late",
            "run 1 had another workload than run 0",
            "run 1 ran on another machine than run 0"
        ]
    );
}
