//! What a subscriber has received, kept while the load runs. Recording a delivery is a few comparisons
//! and one write to memory that no other task touches.

use super::finding::{EXAMPLES_MAX, Finding, Kind, Place};
use crate::client::Closed;

/// A message as a subscriber got it: twelve bytes, because there may be millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) index: u32,
    pub(crate) at_us: u32,
    pub(crate) id_tail: u32,
}

impl Received {
    const NOTHING: Self = Self { index: u32::MAX, at_us: 0, id_tail: 0 };

    fn is_something(&self) -> bool {
        self.index != u32::MAX
    }
}

/// A subscriber's ledger of its one channel.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) subscriber: usize,
    pub(crate) channel: usize,
    /// The channel's last sequence number when the subscription began; what follows is owed.
    baseline: u64,
    /// By sequence number, from the baseline on.
    received: Vec<Received>,
    /// Sequence numbers beyond this can't be of this run.
    length_max: usize,
    /// How many from the baseline on have arrived without a gap.
    contiguous: usize,
    /// Distinct messages.
    pub(crate) delivered: u64,
    counts: [u64; Kind::ALL.len()],
    examples: Vec<(Kind, u64)>,
    /// Numbers between these, the second included, were missed by a subscriber that was away: they aren't owed.
    absences: Vec<(u64, u64)>,
    /// The last number before an absence that isn't over.
    left_after: Option<u64>,
    /// Numbers between these, the second included, were recovered after a reconnection.
    recovered: Vec<(u64, u64)>,
    /// How the connection ended, if it did before it was meant to.
    pub(crate) closed: Option<Closed>,
}

impl Ledger {
    pub(crate) fn new(subscriber: usize, channel: usize, baseline: u64, length_max: usize) -> Self {
        Self {
            subscriber,
            channel,
            baseline,
            received: Vec::new(),
            length_max,
            contiguous: 0,
            delivered: 0,
            counts: [0; Kind::ALL.len()],
            examples: Vec::new(),
            absences: Vec::new(),
            left_after: None,
            recovered: Vec::new(),
            closed: None,
        }
    }

    /// Enters a delivery.
    pub(crate) fn record(&mut self, seq: u64, received: Received) {
        let Some(place) = self.place(seq) else {
            self.note(Kind::Corrupted, seq);
            return;
        };
        if place < self.received.len() {
            if self.received[place].is_something() {
                self.note(Kind::Duplicated, seq);
                return;
            }
            self.note(Kind::Reordered, seq);
        } else {
            self.received.resize(place + 1, Received::NOTHING);
        }
        self.received[place] = received;
        self.delivered += 1;
        while self.received.get(self.contiguous).is_some_and(Received::is_something) {
            self.contiguous += 1;
        }
    }

    /// The subscriber leaves; what follows isn't owed until it joins again.
    pub(crate) fn leave(&mut self) {
        self.left_after = Some(self.last_seq());
    }

    /// The subscriber is there again; what follows `last_seq` is owed.
    pub(crate) fn join(&mut self, last_seq: u64) {
        let Some(left_after) = self.left_after.take() else {
            return;
        };
        let Some(place) = self.place(last_seq).filter(|_| last_seq > left_after) else {
            return;
        };
        let was_whole = self.contiguous == self.received.len();
        self.absences.push((left_after, last_seq));
        self.received.resize(place + 1, Received::NOTHING);
        if was_whole {
            self.contiguous = self.received.len();
        }
    }

    /// The subscriber is there again and asked for what it missed, up to `last_seq`.
    pub(crate) fn recover(&mut self, last_seq: u64) {
        if last_seq > self.position() {
            self.recovered.push((self.position(), last_seq));
        }
    }

    /// Whether this number was recovered after a reconnection, rather than delivered when it came.
    pub(crate) fn is_recovered(&self, seq: u64) -> bool {
        self.recovered.iter().any(|&(after, until)| after < seq && seq <= until)
    }

    /// Counts something wrong with a delivery.
    pub(crate) fn note(&mut self, kind: Kind, seq: u64) {
        self.counts[kind as usize] += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push((kind, seq));
        }
    }

    /// The sequence number up to which everything that is owed has arrived.
    pub(crate) fn position(&self) -> u64 {
        self.baseline + self.contiguous as u64
    }

    /// Whether nothing is missing before what arrived, and nothing was wrong with it.
    pub(crate) fn is_flawless(&self) -> bool {
        self.contiguous == self.received.len() && self.counts.iter().all(|count| *count == 0)
    }

    /// The highest sequence number that arrived.
    pub(crate) fn last_seq(&self) -> u64 {
        self.baseline + self.received.len() as u64
    }

    /// What arrived under a sequence number.
    pub(crate) fn get(&self, seq: u64) -> Option<&Received> {
        self.received.get(self.place(seq)?).filter(|received| received.is_something())
    }

    /// Whether the subscriber should have got this sequence number: not what came before its subscription,
    /// nor what came after its connection had ended.
    pub(crate) fn is_owed(&self, seq: u64) -> bool {
        let was_away = self.absences.iter().any(|&(after, until)| after < seq && seq <= until)
            || self.left_after.is_some_and(|after| seq > after);
        seq > self.baseline && !was_away && (self.closed.is_none() || seq <= self.last_seq())
    }

    /// Everything that arrived, with its sequence number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Received)> {
        (self.baseline + 1..).zip(&self.received).filter(|(_, received)| received.is_something())
    }

    /// How often something was wrong.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// The first things that were wrong.
    pub(crate) fn examples(&self, channels: &[String]) -> impl Iterator<Item = Finding> {
        self.examples.iter().map(move |&(kind, seq)| Finding {
            kind,
            channel: channels[self.channel].clone(),
            seq: Some(seq),
            place: Place::Subscriber(self.subscriber),
        })
    }

    fn place(&self, seq: u64) -> Option<usize> {
        let place = usize::try_from(seq.checked_sub(self.baseline)?.checked_sub(1)?).ok()?;
        (place < self.length_max).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(index: u32) -> Received {
        Received { index, at_us: 1, id_tail: 2 }
    }

    #[test]
    fn what_arrives_in_order_is_no_finding() {
        let mut ledger = Ledger::new(0, 0, 10, 100);
        for seq in 11..=20 {
            ledger.record(seq, received(0));
        }
        assert_eq!((ledger.delivered, ledger.position()), (10, 20));
        assert!(Kind::ALL.iter().all(|&kind| ledger.count(kind) == 0));
    }

    #[test]
    fn the_position_stops_at_a_gap_and_goes_on_when_it_is_filled() {
        let mut ledger = Ledger::new(0, 0, 0, 100);
        ledger.record(1, received(0));
        ledger.record(3, received(2));
        assert_eq!(ledger.position(), 1);
        ledger.record(2, received(1));
        assert_eq!(ledger.position(), 3);
        assert_eq!(ledger.count(Kind::Reordered), 1);
    }

    #[test]
    fn a_sequence_number_that_no_message_of_the_run_can_have_takes_no_memory() {
        let mut ledger = Ledger::new(0, 0, 5, 100);
        ledger.record(5, received(0));
        ledger.record(u64::MAX, received(0));
        assert_eq!(ledger.count(Kind::Corrupted), 2);
        assert_eq!(ledger.delivered, 0);
    }

    #[test]
    fn nothing_is_owed_to_who_is_away() {
        let mut ledger = Ledger::new(0, 0, 0, 100);
        ledger.record(1, received(0));
        ledger.leave();
        assert!(ledger.is_owed(1) && !ledger.is_owed(2));
        ledger.join(3);
        assert_eq!(ledger.position(), 3);
        assert_eq!([1, 2, 3, 4].map(|seq| ledger.is_owed(seq)), [true, false, false, true]);
        ledger.record(4, received(3));
        assert_eq!((ledger.position(), ledger.delivered), (4, 2));
        assert!(Kind::ALL.iter().all(|&kind| ledger.count(kind) == 0));
    }

    #[test]
    fn what_is_recovered_is_owed_and_known_to_be_late() {
        let mut ledger = Ledger::new(0, 0, 0, 100);
        ledger.record(1, received(0));
        ledger.recover(3);
        (2..=4).for_each(|seq| ledger.record(seq, received(0)));
        assert_eq!([1, 2, 3, 4].map(|seq| ledger.is_recovered(seq)), [false, true, true, false]);
        assert!((1..=4).all(|seq| ledger.is_owed(seq)));
    }

    #[test]
    fn nothing_is_owed_after_the_connection_ended() {
        let mut ledger = Ledger::new(0, 0, 0, 100);
        ledger.record(3, received(0));
        assert!(ledger.is_owed(4));
        ledger.closed = Some(Closed { code: Some(4000), reason: String::new() });
        assert!(ledger.is_owed(2));
        assert!(!ledger.is_owed(4));
    }
}
