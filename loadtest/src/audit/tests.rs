use hopline::protocol::ErrorCode;

use super::*;
use crate::client::Closed;

const ID_OFFSET: u32 = 1_000;

/// Two publishers sent two messages each to one channel; all are acknowledged, stored and delivered to two subscribers.
fn flawless() -> Evidence {
    let record = |seq: u64, index: u32| Record {
        channel: 0,
        intended_us: 0,
        sent_us: 1,
        answered_us: 2,
        answer: Answer::Acknowledged { seq, id_tail: index + ID_OFFSET },
        tries: 1,
    };
    let ledgers = (0..2).map(|subscriber| {
        let mut ledger = Ledger::new(subscriber, 0, 0, 100);
        for index in 0..4 {
            ledger.record(u64::from(index) + 1, received(index));
        }
        ledger
    });
    Evidence {
        channels: vec!["general".to_owned()],
        records: Records(vec![vec![record(1, 0), record(3, 2)], vec![record(2, 1), record(4, 3)]]),
        ledgers: ledgers.collect(),
        history: vec![(0..4).map(stored).collect()],
    }
}

fn received(index: u32) -> Received {
    Received { index, at_us: 3, id_tail: index + ID_OFFSET }
}

fn stored(index: u32) -> Stored {
    Stored { seq: u64::from(index) + 1, index: Some(index), id_tail: index + ID_OFFSET }
}

fn ledger_of(deliveries: &[(u64, u32)]) -> Ledger {
    let mut ledger = Ledger::new(1, 0, 0, 100);
    for &(seq, index) in deliveries {
        ledger.record(seq, received(index));
    }
    ledger
}

/// Asserts that exactly this was found.
#[track_caller]
fn assert_found(evidence: &Evidence, kind: Kind, count: u64, first: (u64, Place)) {
    let audit = audit(evidence);
    for other in Kind::ALL {
        let expected = if other == kind { count } else { 0 };
        assert_eq!(audit.count(other), expected, "{other:?}: {audit:?}");
    }
    let example = &audit.examples[0];
    assert_eq!((example.seq, example.place), (Some(first.0), first.1));
    assert_eq!(example.channel, "general");
}

#[test]
fn a_flawless_run_is_clean() {
    let audit = audit(&flawless());
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!((audit.sent, audit.acknowledged, audit.stored), (4, 4, 4));
    assert_eq!((audit.owed, audit.delivered), (8, 8));
}

#[test]
fn a_message_that_a_subscriber_did_not_get_is_lost() {
    let mut evidence = flawless();
    evidence.ledgers[1] = ledger_of(&[(1, 0), (3, 2), (4, 3)]);
    assert_found(&evidence, Kind::Lost, 1, (2, Place::Subscriber(1)));
}

#[test]
fn the_last_message_can_be_lost_too() {
    let mut evidence = flawless();
    evidence.ledgers[1] = ledger_of(&[(1, 0), (2, 1), (3, 2)]);
    assert_found(&evidence, Kind::Lost, 1, (4, Place::Subscriber(1)));
}

#[test]
fn what_a_closed_connection_missed_is_not_lost() {
    let mut evidence = flawless();
    evidence.ledgers[1] = ledger_of(&[(1, 0), (2, 1)]);
    evidence.ledgers[1].closed = Some(Closed { code: Some(4001), reason: String::new() });
    assert!(audit(&evidence).is_clean());
}

#[test]
fn a_message_delivered_twice_is_duplicated() {
    let mut evidence = flawless();
    evidence.ledgers[1].record(2, received(1));
    assert_found(&evidence, Kind::Duplicated, 1, (2, Place::Subscriber(1)));
}

#[test]
fn a_message_stored_twice_is_duplicated() {
    let mut evidence = flawless();
    evidence.history[0].push(Stored { seq: 5, ..stored(3) });
    for ledger in &mut evidence.ledgers {
        ledger.record(5, received(3));
    }
    assert_found(&evidence, Kind::Duplicated, 1, (5, Place::History));
}

#[test]
fn a_delivery_after_a_later_one_is_reordered() {
    let mut evidence = flawless();
    evidence.ledgers[1] = ledger_of(&[(1, 0), (3, 2), (2, 1), (4, 3)]);
    assert_found(&evidence, Kind::Reordered, 1, (2, Place::Subscriber(1)));
}

#[test]
fn numbers_that_contradict_a_publishers_order_are_reordered() {
    let mut evidence = flawless();
    let acknowledged = |seq| Answer::Acknowledged { seq, id_tail: 0 };
    for (publisher, seqs) in [(0, [3, 1]), (1, [2, 4])] {
        for (record, seq) in evidence.records.0[publisher].iter_mut().zip(seqs) {
            record.answer = acknowledged(seq);
        }
    }
    let by_seq = [(1, 2), (2, 1), (3, 0), (4, 3)];
    evidence.history[0] = by_seq.map(|(seq, index)| Stored { seq, index: Some(index), id_tail: 0 }).to_vec();
    for (subscriber, ledger) in evidence.ledgers.iter_mut().enumerate() {
        *ledger = Ledger::new(subscriber, 0, 0, 100);
        for (seq, index) in by_seq {
            ledger.record(seq, Received { index, at_us: 3, id_tail: 0 });
        }
    }
    assert_found(&evidence, Kind::Reordered, 1, (1, Place::Publisher(0)));
    // One that was sent again takes the place of whichever try was stored.
    evidence.records.0[0][0].tries = 2;
    assert!(audit(&evidence).is_clean());
}

#[test]
fn an_acknowledged_message_that_history_lacks_is_unstored() {
    let mut evidence = flawless();
    evidence.history[0].pop();
    assert_found(&evidence, Kind::Unstored, 1, (4, Place::Publisher(1)));
}

#[test]
fn a_sequence_number_that_history_leaves_out_is_skipped() {
    let mut evidence = flawless();
    evidence.records.0[0][1].answer = Answer::Refused(ErrorCode::Busy);
    evidence.history[0].remove(2);
    for ledger in &mut evidence.ledgers {
        *ledger = Ledger::new(ledger.subscriber, 0, 0, 100);
        for (seq, index) in [(1, 0), (2, 1), (4, 3)] {
            ledger.record(seq, received(index));
        }
    }
    assert_found(&evidence, Kind::Skipped, 1, (3, Place::History));
}

#[test]
fn another_message_than_the_acknowledged_one_is_corrupted() {
    let mut evidence = flawless();
    evidence.ledgers[1] = ledger_of(&[(1, 0), (2, 3), (3, 2), (4, 3)]);
    assert_found(&evidence, Kind::Corrupted, 1, (2, Place::Subscriber(1)));
}

#[test]
fn another_id_than_the_acknowledged_one_is_corrupted() {
    let mut evidence = flawless();
    let Answer::Acknowledged { id_tail, .. } = &mut evidence.records.0[0][0].answer else { unreachable!() };
    *id_tail = 7;
    assert_found(&evidence, Kind::Corrupted, 1, (1, Place::Publisher(0)));
}

#[test]
fn a_changed_text_is_corrupted() {
    let mut evidence = flawless();
    evidence.ledgers[1].note(Kind::Corrupted, 3);
    assert_found(&evidence, Kind::Corrupted, 1, (3, Place::Subscriber(1)));
}

#[test]
fn a_foreign_message_in_history_is_corrupted() {
    let mut evidence = flawless();
    evidence.history[0].push(Stored { seq: 5, index: None, id_tail: 0 });
    assert_found(&evidence, Kind::Corrupted, 1, (5, Place::History));
}

#[test]
fn a_refused_message_that_was_stored_is_corrupted() {
    let mut evidence = flawless();
    evidence.records.0[1][1].answer = Answer::Refused(ErrorCode::Busy);
    assert_found(&evidence, Kind::Corrupted, 1, (4, Place::History));
    assert_eq!(audit(&evidence).refused["busy"], 1);
}

#[test]
fn an_unanswered_message_is_indeterminate_whether_it_was_stored_or_not() {
    let mut evidence = flawless();
    evidence.records.0[1][1].answer = Answer::Missing;
    let stored = audit(&evidence);
    assert_eq!((stored.indeterminate, stored.indeterminate_stored), (1, 1));
    assert!(stored.is_clean(), "{stored:?}");

    evidence.history[0].pop();
    evidence.ledgers[0] = ledger_of(&[(1, 0), (2, 1), (3, 2)]);
    evidence.ledgers[1] = ledger_of(&[(1, 0), (2, 1), (3, 2)]);
    let absent = audit(&evidence);
    assert_eq!((absent.indeterminate, absent.indeterminate_stored), (1, 0));
    assert!(absent.is_clean(), "{absent:?}");
}

#[test]
fn a_committed_message_that_nobody_was_told_of_must_be_delivered_all_the_same() {
    let mut evidence = flawless();
    evidence.records.0[1][1].answer = Answer::Refused(ErrorCode::Unavailable);
    evidence.ledgers[1] = ledger_of(&[(1, 0), (2, 1), (3, 2)]);
    assert_found(&evidence, Kind::Lost, 1, (4, Place::Subscriber(1)));
}

#[test]
fn examples_are_limited_and_counts_are_not() {
    let mut evidence = flawless();
    for _ in 0..100 {
        evidence.ledgers[1].record(2, received(1));
    }
    let audit = audit(&evidence);
    assert_eq!(audit.count(Kind::Duplicated), 100);
    assert_eq!(audit.examples.len(), EXAMPLES_MAX);
}
