use super::*;

const PATIENCE: Duration = Duration::from_millis(20);
const START: Duration = Duration::ZERO;

fn channel() -> ChannelName {
    "general".parse().unwrap()
}

/// An order whose one channel stands behind `baseline`. A message is its own number.
fn order_at(baseline: u64) -> Order<u64> {
    let mut order = Order::new(PATIENCE, 8);
    order.watch(&channel());
    order.begin(START, &channel(), baseline, &mut Vec::new());
    order
}

fn arrive(order: &mut Order<u64>, now: Duration, seq: u64) -> (Placed, Vec<u64>) {
    let mut delivered = Vec::new();
    let placed = order.arrive(now, &channel(), seq, seq, &mut delivered);
    (placed, delivered)
}

fn heal(order: &mut Order<u64>, now: Duration, upto: u64, stored: &[u64]) -> (u64, Vec<u64>) {
    let mut delivered = Vec::new();
    let stored = stored.iter().map(|seq| (*seq, *seq));
    let skipped = order.healed(now, &channel(), upto, stored, &mut delivered);
    (skipped, delivered)
}

fn range(missing: &[Missing]) -> Vec<(u64, u64)> {
    missing.iter().map(|gap| (gap.after, gap.upto)).collect()
}

#[test]
fn what_is_in_order_is_delivered_at_once_and_repeats_are_dropped() {
    let mut order = order_at(4);
    assert_eq!(arrive(&mut order, START, 5), (Placed::InOrder, vec![5]));
    assert_eq!(arrive(&mut order, START, 5), (Placed::Duplicate, vec![]));
    assert_eq!(arrive(&mut order, START, 3), (Placed::Duplicate, vec![]));
    assert_eq!(order.next_due(), None);
}

#[test]
fn an_early_message_waits_for_its_predecessor() {
    let mut order = order_at(0);
    assert_eq!(arrive(&mut order, START, 3), (Placed::Early, vec![]));
    assert_eq!(arrive(&mut order, START, 3), (Placed::Duplicate, vec![]));
    assert_eq!(arrive(&mut order, START, 2), (Placed::Early, vec![]));
    assert_eq!(arrive(&mut order, START, 1), (Placed::InOrder, vec![1, 2, 3]));
    assert_eq!(order.next_due(), None);
}

#[test]
fn a_gap_is_due_after_its_patience_and_then_healed() {
    let mut order = order_at(0);
    arrive(&mut order, START, 3);
    assert_eq!(order.next_due(), Some(PATIENCE));
    assert_eq!(order.due(PATIENCE / 2, 9), []);
    assert_eq!(range(&order.due(PATIENCE, 9)), [(0, 3)]);
    assert_eq!(order.due(PATIENCE, 9), [], "a gap that is being healed is not due again");
    assert_eq!(heal(&mut order, PATIENCE, 3, &[1, 2, 3]), (0, vec![1, 2, 3]));
    assert_eq!(order.next_due(), None);
}

#[test]
fn a_gap_that_moves_on_gets_its_patience_anew() {
    let mut order = order_at(0);
    arrive(&mut order, START, 3);
    let later = PATIENCE / 2;
    arrive(&mut order, later, 1);
    assert_eq!(order.next_due(), Some(later + PATIENCE));
}

#[test]
fn the_loss_of_the_newest_message_shows_by_comparing_positions() {
    let mut order = order_at(4);
    order.compare(PATIENCE, &channel(), 4);
    assert_eq!(order.next_due(), None);
    order.compare(PATIENCE, &channel(), 6);
    assert_eq!(order.next_due(), Some(PATIENCE), "the broker may still bring them");
    let missing = order.due(PATIENCE, 9);
    assert_eq!((range(&missing), missing[0].cause), (vec![(4, 6)], GapCause::Position));
}

#[test]
fn while_the_broker_is_down_what_is_missing_is_due_at_once() {
    let mut order = order_at(4);
    order.compare(START, &channel(), 5);
    assert_eq!(range(&order.due(START, 9)), [(4, 5)]);
}

#[test]
fn numbers_that_no_row_holds_are_skipped_and_counted() {
    let mut order = order_at(0);
    arrive(&mut order, START, 7);
    order.due(PATIENCE, 9);
    assert_eq!(heal(&mut order, PATIENCE, 7, &[2, 5, 7]), (4, vec![2, 5, 7]));
    assert_eq!(arrive(&mut order, PATIENCE, 8), (Placed::InOrder, vec![8]));
}

#[test]
fn a_gap_longer_than_a_page_is_healed_page_by_page() {
    let mut order = order_at(0);
    order.compare(START, &channel(), 100);
    order.due(START, 9);
    assert_eq!(heal(&mut order, START, 2, &[1, 2]), (0, vec![1, 2]));
    assert_eq!(range(&order.due(START, 9)), [(2, 100)]);
}

#[test]
fn a_number_beyond_the_counter_is_dropped_and_the_channel_goes_on() {
    let mut order = order_at(4);
    arrive(&mut order, START, u64::MAX);
    assert_eq!(range(&order.due(PATIENCE, 9)), [(4, u64::MAX)]);
    order.refute(&channel(), 5, u64::MAX);
    assert_eq!(heal(&mut order, PATIENCE, 5, &[5]), (0, vec![5]));
    assert_eq!(order.next_due(), None);
    assert_eq!(arrive(&mut order, PATIENCE, 6), (Placed::InOrder, vec![6]));
}

#[test]
fn a_number_beyond_the_counter_hides_nothing_that_the_counter_covers() {
    let mut order = order_at(0);
    arrive(&mut order, START, 2);
    arrive(&mut order, START, u64::MAX);
    order.compare(START, &channel(), 3);
    assert_eq!(range(&order.due(START, 9)), [(0, u64::MAX)]);
    order.refute(&channel(), 3, u64::MAX);
    assert_eq!(heal(&mut order, START, 1, &[1]), (0, vec![1, 2]), "a page ends anywhere");
    assert_eq!(range(&order.due(START, 9)), [(2, 3)]);
}

#[test]
fn the_channels_that_wait_longest_are_read_first() {
    let mut order = Order::new(PATIENCE, 8);
    let names = ["c", "a", "d", "b"].map(|name| name.parse::<ChannelName>().unwrap());
    for (name, ms) in names.iter().zip(1..) {
        order.watch(name);
        order.begin(START, name, 0, &mut Vec::new());
        order.arrive(Duration::from_millis(ms), name, 2, 2_u64, &mut Vec::new());
    }
    let read = |missing: Vec<Missing>| missing.into_iter().map(|gap| gap.channel).collect::<Vec<_>>();
    assert_eq!(read(order.due(2 * PATIENCE, 3)), names[..3]);
    assert_eq!(read(order.due(2 * PATIENCE, 3)), names[3..]);
}

#[test]
fn a_failed_read_is_repeated_after_a_pause() {
    let mut order = order_at(0);
    order.compare(START, &channel(), 1);
    order.due(START, 9);
    order.heal_failed(START, &channel(), PATIENCE);
    assert_eq!(order.next_due(), Some(PATIENCE));
}

#[test]
fn a_channel_holds_a_limited_number_of_early_messages_and_heals_the_others() {
    let mut order = order_at(0);
    for seq in 2..10 {
        assert_eq!(arrive(&mut order, START, seq).0, Placed::Early);
    }
    assert_eq!(arrive(&mut order, START, 10).0, Placed::AheadFull);
    assert_eq!(range(&order.due(PATIENCE, 9)), [(0, 10)]);
}

#[test]
fn what_arrives_before_the_baseline_is_known_is_neither_lost_nor_repeated() {
    let mut order = Order::new(PATIENCE, 8);
    order.watch(&channel());
    assert_eq!(arrive(&mut order, START, 5), (Placed::Early, vec![]));
    assert_eq!(arrive(&mut order, START, 6), (Placed::Early, vec![]));
    assert_eq!(order.next_due(), None);
    let mut delivered = Vec::new();
    order.begin(START, &channel(), 5, &mut delivered);
    assert_eq!(delivered, [6]);
    order.begin(START, &channel(), 9, &mut delivered);
    assert_eq!(arrive(&mut order, START, 7), (Placed::InOrder, vec![7]), "the first baseline stands");
}

#[test]
fn a_channel_without_subscribers_is_not_watched() {
    let mut order = order_at(0);
    arrive(&mut order, START, 2);
    order.unwatch(&channel());
    assert_eq!(arrive(&mut order, START, 1), (Placed::Unwatched, vec![]));
    assert_eq!((order.next_due(), order.watched().count()), (None, 0));
}
