use std::{collections::BTreeMap, time::Duration};

use hopline::hop::{Hop, Origin, Recipient};

use super::*;
use crate::{
    audit::Audit,
    cpu::Watched,
    latency::Latencies,
    machine::Machine,
    report::{Conclusion, Measured, Pictures, Throughput},
    run::{Connected, Tripped},
    verdict::Verdict,
};

fn parsed(text: &str) -> Requirement {
    Requirement::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn assert_refused(text: &str, said: &str) {
    let error = Requirement::parse(text).expect_err(text);
    assert!(error.contains(said), "{text}: {error}");
}

#[test]
fn each_form_is_understood() {
    let key = |measure| Key { measure, origin: None, recipient: None };
    let total = key(Measure::Hop(Hop::Total));
    let of = |text| {
        let Requirement { figure, comparison, value, .. } = parsed(text);
        (figure, comparison, value)
    };
    let p99 = Stat::Percentile(99.0);
    assert_eq!(of("total.p99 < 25ms"), (Figure::Latency(total, p99), Comparison::Below, 25.0));
    assert_eq!(of("total.p99.9<=1.5s").0, Figure::Latency(total, Stat::Percentile(99.9)));
    assert_eq!(of("total.p99.9<=1.5s").2.to_string(), "1500");
    assert_eq!(of("ack.mean < 300 us").2.to_string(), "0.3");
    assert_eq!(of("send_lag.max < 1ms").0, Figure::Latency(key(Measure::SendLag), Stat::Max));
    let own = Key { origin: Some(Origin::Own), ..key(Measure::Hop(Hop::Broadcast)) };
    assert_eq!(of("broadcast.self.p50 < 1ms").0, Figure::Latency(own, Stat::Percentile(50.0)));
    let last = Key { recipient: Some(Recipient::Last), ..total };
    assert_eq!(of("total.last.p99 < 1s").0, Figure::Latency(last, p99));
    assert_eq!(of("audit.lost = 0").1, Comparison::Equal);
    assert_eq!(of("audit.findings == 0").0, Figure::Audit(None));
    assert_eq!(of("audit.indeterminate < 1").0, Figure::Indeterminate);
    assert_eq!(of("acknowledged.rate >= 490/s").2.to_string(), "490");
    assert_eq!(of("delivered.share > 99.9%").1, Comparison::Above);
    assert_eq!(of("reconciliation.p50 <= 5 %").0, Figure::Reconciliation(50));
}

#[test]
fn what_is_unknown_is_told_with_what_there_is() {
    assert_refused("totall.p99 < 25ms", "there is no figure \"totall.p99\"; there are");
    assert_refused("totall.p99 < 25ms", "broadcast.self, broadcast.peer");
    assert_refused("audit.gone = 0", "audit.lost, audit.duplicated");
    for unknown in [
        "total.q99 < 1ms",
        "total.p100 < 1ms",
        "total.self.p50 < 1ms",
        "broadcast.p50 < 1ms",
        "ack.rate > 1/s",
    ] {
        assert_refused(unknown, "there is no figure");
    }
    assert_refused("total.p99 < 25", "is no time");
    assert_refused("total.p99 < -1ms", "is no time");
    assert_refused("total.p99 < 1e308s", "is no time");
    assert_refused("audit.lost = 0ms", "is no number");
    assert_refused("acknowledged.rate > 490", "is no rate");
    assert_refused("delivered.share > 0.9", "is no share");
    assert_refused("total.p99", "a requirement is like");
    assert_refused("total.p99 <> 1ms", "a requirement is like");
    assert_refused("total.p99 <", "a requirement is like");
}

#[test]
fn the_tightest_limit_counts_for_the_generators_lateness() {
    let all = ["total.p99 < 25ms", "ack.p50 < 4ms", "persist.p50 < 1ms", "audit.lost = 0"].map(parsed);
    assert_eq!(tightest_ms(&all), Some(4.0));
    assert_eq!(tightest_ms(&all[2..]), None);
}

#[test]
fn a_requirement_is_given_up_when_too_many_exceed_it() {
    let limit = |text| limit(&parsed(text), 1_000, 6_000).map(|limit| (limit.from_us, limit.allowed));
    assert_eq!(limit("total.p99 < 25ms"), Some((25_000, 60)));
    assert_eq!(limit("ack.max <= 1ms"), Some((1_001, 0)));
    assert_eq!(limit("ack.max <= 5000s"), Some((u32::MAX, 0)));
    assert_eq!(limit("total.mean < 25ms"), None);
    assert_eq!(limit("total.last.p99 < 25ms"), None);
    assert_eq!(limit("audit.lost = 0"), None);
}

fn measured(invalid: &[&str], lost: u64) -> Measured {
    let none = Watched::default().cpu();
    let findings = [("lost", lost)].into();
    Measured {
        target: "lab".to_owned(),
        co_located: true,
        machine: Machine::describe(None),
        clients: Connected::default(),
        throughput: Throughput { acknowledged_per_s: 480.0, delivered_per_s: 960.0 },
        latencies: Vec::new(),
        reconciliation: None,
        cpu: none.since(&none, Duration::from_secs(1), 0),
        memory_bytes: BTreeMap::new(),
        audit: Audit { sent: 1_000, acknowledged: 999, findings, ..Audit::default() },
        floor: None,
        pictures: Pictures::default(),
        traces: None,
        clocks: Vec::new(),
        notes: Vec::new(),
        invalid: invalid.iter().map(|why| (*why).to_owned()).collect(),
    }
}

/// Judges by 1,000 totals of 10 ms.
fn judged(text: &str, measured: &Measured, tripped: Option<&Tripped>) -> Required {
    let total = Key { measure: Measure::Hop(Hop::Total), origin: None, recipient: None };
    Required::judge(&parsed(text), measured, &Latencies::constant(total, 10, 1_000), tripped)
}

#[test]
fn each_form_is_judged_with_its_headroom() {
    let valid = measured(&[], 0);
    for (text, verdict, headroom) in [
        ("total.p99 < 25ms", Verdict::Holds, Some(60.0)),
        ("total.p50 <= 5ms", Verdict::DoesNotHold, Some(-100.0)),
        ("total.mean < 20ms", Verdict::Holds, Some(50.0)),
        ("total.max > 5ms", Verdict::Holds, Some(100.0)),
        ("total.p99.9 < 25ms", Verdict::NotMeasured, None),
        ("ack.p50 < 25ms", Verdict::NotMeasured, None),
        ("audit.lost = 0", Verdict::Holds, None),
        ("audit.findings > 0", Verdict::DoesNotHold, None),
        ("audit.indeterminate < 4", Verdict::Holds, Some(100.0)),
        ("acknowledged.rate >= 400/s", Verdict::Holds, Some(20.0)),
        ("delivered.rate > 1200/s", Verdict::DoesNotHold, Some(-20.0)),
        ("acknowledged.share > 99.8%", Verdict::Holds, Some(0.1)),
        ("delivered.share > 99.8%", Verdict::NotMeasured, None),
        ("traces.share > 99.8%", Verdict::NotMeasured, None),
        ("reconciliation.p50 < 5%", Verdict::NotMeasured, None),
    ] {
        let judged = judged(text, &valid, None);
        assert_eq!(judged.verdict, verdict, "{judged:?}");
        assert_eq!(judged.headroom_percent.map(f64::round), headroom.map(f64::round), "{judged:?}");
        assert_eq!(judged.unjudged().is_some(), verdict == Verdict::NotMeasured);
    }
}

#[test]
fn an_invalid_run_meets_no_requirement_and_what_was_lost_is_lost() {
    let invalid = measured(&["too late"], 3);
    assert_eq!(judged("total.p99 < 25ms", &invalid, None).verdict, Verdict::NotMeasured);
    assert_eq!(judged("total.p99 < 5ms", &invalid, None).verdict, Verdict::NotMeasured);
    assert_eq!(judged("audit.lost = 0", &invalid, None).verdict, Verdict::DoesNotHold);
    assert_eq!(judged("audit.lost < 9", &invalid, None).verdict, Verdict::NotMeasured);
}

#[test]
fn a_requirement_that_ended_the_run_does_not_hold() {
    let text = "total.p99.9 < 5ms";
    let tripped = Tripped::Requirement(text.to_owned());
    assert_eq!(judged(text, &measured(&["short"], 0), Some(&tripped)).verdict, Verdict::DoesNotHold);
    let other = judged("total.p99.9 < 6ms", &measured(&[], 0), Some(&tripped));
    assert_eq!(other.verdict, Verdict::NotMeasured);
}

#[test]
fn requirements_decide_how_a_run_ends() {
    let valid = measured(&[], 0);
    let required = |text| [judged(text, &valid, None)];
    assert_eq!(Conclusion::Pass.and(&required("total.p99 < 25ms")), Conclusion::Pass);
    assert_eq!(Conclusion::Pass.and(&required("total.p99 < 5ms")), Conclusion::Fail);
    assert_eq!(Conclusion::Pass.and(&required("ack.p99 < 5ms")), Conclusion::Invalid);
    assert_eq!(Conclusion::Invalid.and(&required("total.p99 < 25ms")), Conclusion::Invalid);
    assert_eq!(Conclusion::Fail.and(&required("ack.p99 < 5ms")), Conclusion::Fail);
}
