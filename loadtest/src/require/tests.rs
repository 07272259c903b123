use hopline::hop::{Hop, Origin, Recipient};

use super::*;

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
    assert_eq!(of("total.p99.9<=1.5s").2, 1_500.0);
    assert_eq!(of("ack.mean < 300 us").2, 0.3);
    assert_eq!(of("send_lag.max < 1ms").0, Figure::Latency(key(Measure::SendLag), Stat::Max));
    let own = Key { origin: Some(Origin::Own), ..key(Measure::Hop(Hop::Broadcast)) };
    assert_eq!(of("broadcast.self.p50 < 1ms").0, Figure::Latency(own, Stat::Percentile(50.0)));
    let last = Key { recipient: Some(Recipient::Last), ..total };
    assert_eq!(of("total.last.p99 < 1s").0, Figure::Latency(last, p99));
    assert_eq!(of("audit.lost = 0").1, Comparison::Equal);
    assert_eq!(of("audit.findings == 0").0, Figure::Audit(None));
    assert_eq!(of("audit.indeterminate < 1").0, Figure::Indeterminate);
    assert_eq!(of("acknowledged.rate >= 490/s").2, 490.0);
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
    let limit = |text| limit(&parsed(text), 1_000, 6_000).map(|limit| (limit.limit_us, limit.allowed));
    assert_eq!(limit("total.p99 < 25ms"), Some((25_000, 60)));
    assert_eq!(limit("ack.max <= 1ms"), Some((1_001, 0)));
    assert_eq!(limit("total.mean < 25ms"), None);
    assert_eq!(limit("total.last.p99 < 25ms"), None);
    assert_eq!(limit("audit.lost = 0"), None);
}
