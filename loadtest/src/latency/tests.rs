use super::*;
use crate::{
    audit::{Answer, Evidence, Ledger, Received, Record, Records},
    cpu::Watched,
    run::{Connected, HopSample, Upstream, Visit},
};

/// One message each at 1 s and 2 s; three subscribers; the first message belongs to the warm-up.
fn outcome() -> Outcome {
    let record = |intended_us, seq| Record {
        channel: 0,
        intended_us,
        sent_us: intended_us + 100,
        answered_us: intended_us + 1_000,
        answer: Answer::Acknowledged { seq, id_tail: 0 },
        tries: 1,
    };
    let ledgers = [2_000, 3_000, 5_000].iter().enumerate().map(|(number, delay_us)| {
        let mut ledger = Ledger::new(number, 0, 0, 10);
        ledger.record(1, Received { index: 0, at_us: 9_000_000, id_tail: 0 });
        ledger.record(2, Received { index: 1, at_us: 2_000_000 + delay_us, id_tail: 0 });
        ledger
    });
    let sample = |origin, broadcast_us| HopSample {
        index: 1,
        origin,
        upstream: Some(Upstream {
            accepted_us: 2_000_200,
            accept_us: 10,
            persist_us: 500,
            outbox_us: Some(15),
            broadcast_us,
        }),
        receive_us: 20,
        server: 0,
        handed_us: 2_001_000,
        at_us: 2_002_000,
    };
    let cpu = Watched::default().cpu();
    Outcome {
        evidence: Evidence {
            channels: vec!["general".to_owned()],
            records: Records(vec![vec![record(1_000_000, 1), record(2_000_000, 2)]]),
            ledgers: ledgers.collect(),
            history: vec![Vec::new()],
        },
        samples: vec![sample(Origin::Own, 150), sample(Origin::Peer, 300)],
        window_us: 2_000_000..3_000_000,
        cpu: cpu.since(&cpu, std::time::Duration::from_secs(1), 3),
        trouble: crate::run::Trouble::default(),
        visits: vec![Visit::Recovery { at_us: 2_500_000, us: 7_000 }, Visit::Join { at_us: 1, us: 9_000 }],
        servers: vec![0; 3],
        connected: Connected::default(),
        planned: Some(2),
        tripped: None,
        traced: None,
        flaws: Vec::new(),
    }
}

#[track_caller]
fn assert_one(latencies: &Latencies, key: Key, expected_ms: f64) {
    let series = latencies.get(key).unwrap_or_else(|| panic!("no {key:?}"));
    assert_eq!(series.count(), 1, "{key:?}");
    assert!((series.percentile_ms(50.0) / expected_ms - 1.0).abs() < 0.002, "{key:?}");
}

#[test]
fn each_figure_counts_measured_messages_from_the_intended_time() {
    let latencies = Latencies::of(&outcome());
    let key = |measure| Key { measure, origin: None, recipient: None };
    let total = |recipient| Key { recipient: Some(recipient), ..key(Measure::Hop(Hop::Total)) };
    let broadcast = |origin| Key { origin: Some(origin), ..key(Measure::Hop(Hop::Broadcast)) };
    assert_one(&latencies, key(Measure::SendLag), 0.1);
    assert_one(&latencies, key(Measure::Ack), 1.0);
    assert_one(&latencies, key(Measure::ServiceAck), 0.9);
    assert_one(&latencies, key(Measure::Hop(Hop::Accept)), 0.01);
    assert_one(&latencies, key(Measure::Hop(Hop::Persist)), 0.5);
    assert_one(&latencies, key(Measure::Hop(Hop::Outbox)), 0.015);
    assert_one(&latencies, broadcast(Origin::Own), 0.15);
    assert_one(&latencies, broadcast(Origin::Peer), 0.3);
    assert_one(&latencies, total(Recipient::First), 2.0);
    assert_one(&latencies, total(Recipient::Median), 3.0);
    assert_one(&latencies, total(Recipient::Last), 5.0);
    assert_one(&latencies, key(Measure::Uplink), 0.195);
    let send = |recipient| Key { recipient: Some(recipient), ..key(Measure::SendAndDrain) };
    assert_one(&latencies, send(Recipient::First), 1.0);
    assert_one(&latencies, send(Recipient::Median), 2.0);
    assert_one(&latencies, send(Recipient::Last), 4.0);
    assert_one(&latencies, key(Measure::Recovery), 7.0);
    assert!(latencies.get(key(Measure::Join)).is_none(), "it was during the warm-up");
    let all = latencies.get(key(Measure::Hop(Hop::Total))).unwrap();
    assert_eq!(all.count(), 3);
    assert!((all.summary().max_ms - 5.0).abs() < 0.01);
    assert_eq!(latencies.get(key(Measure::Hop(Hop::Receive))).unwrap().count(), 2);
}

#[test]
fn what_the_hops_leave_out_of_the_total_is_unexplained() {
    let outcome = outcome();
    // 2,000 µs less a lag of 100, 195 to the server, hops of 10, 500, 15, 150 or 300, 20, and 1,000 from the hand-over on.
    let latencies = Latencies::of(&outcome);
    let unexplained = Key { measure: Measure::Unexplained, origin: None, recipient: None };
    let summary = latencies.get(unexplained).unwrap().summary();
    assert_eq!(summary.count, 2);
    assert!((summary.max_ms - 0.14).abs() < 0.001, "{summary:?}");
    let reconciled = Reconciliation::of(&outcome).unwrap();
    assert_eq!(reconciled.count, 2);
    assert!((reconciled.p50_percent - 0.5).abs() < 0.01, "{reconciled:?}");
    assert!((reconciled.p99_percent - 7.0).abs() < 0.02, "{reconciled:?}");
}

#[test]
fn clocks_that_do_not_agree_leave_much_unexplained() {
    let mut outcome = outcome();
    outcome.samples.iter_mut().for_each(|sample| sample.handed_us += 50_000);
    let reconciled = Reconciliation::of(&outcome).unwrap();
    assert!(reconciled.p50_percent > 900.0, "{reconciled:?}");
}

#[test]
fn a_closed_loop_does_not_see_what_would_have_left_while_it_waited() {
    let mut outcome = outcome();
    outcome.evidence.records.0[0] = (0..100)
        .map(|number| Record {
            channel: 0,
            intended_us: 2_000_000 + number * 1_000,
            sent_us: 2_000_000 + number * 1_000,
            // A stall of 50 ms from the tenth on.
            answered_us: if (10..60).contains(&number) { 2_060_000 } else { 2_000_500 + number * 1_000 },
            answer: Answer::Acknowledged { seq: u64::from(number) + 1, id_tail: 0 },
            tries: 1,
        })
        .collect();
    let latencies = Latencies::of(&outcome);
    let get = |measure| latencies.get(Key { measure, origin: None, recipient: None }).unwrap();
    assert_eq!((get(Measure::Ack).count(), get(Measure::ServiceAck).count()), (100, 51));
    assert!((get(Measure::Ack).percentile_ms(75.0) / 25.0 - 1.0).abs() < 0.1);
    assert!((get(Measure::ServiceAck).percentile_ms(75.0) / 0.5 - 1.0).abs() < 0.01);
}
