//! Which of a publisher's messages are to be sent again, and when.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::guide::Pauses;

/// Messages that may be unanswered for retries to go on: a server that is just back gets no flood.
const UNANSWERED_MAX: usize = 64;
/// Messages that leave together after a pause, to see whether they are taken.
const PROBES: usize = 16;

/// Messages that were refused for the time being, by their number in the publisher's ledger.
#[derive(Debug)]
pub(super) struct Retries {
    waiting: BTreeSet<usize>,
    /// Messages that were sent and not answered.
    unanswered: usize,
    pauses: Pauses,
    /// When the next ones may leave.
    at: Instant,
    sent_again: u64,
}

impl Retries {
    pub(super) fn new() -> Self {
        Self {
            waiting: BTreeSet::new(),
            unanswered: 0,
            pauses: Pauses::new(),
            at: Instant::now(),
            sent_again: 0,
        }
    }

    /// When the next ones may leave; none if there are none, or enough is unanswered.
    pub(super) fn next_at(&self) -> Option<Instant> {
        (!self.waiting.is_empty() && self.unanswered < UNANSWERED_MAX).then_some(self.at)
    }

    /// A message has left.
    pub(super) fn sent(&mut self) {
        self.unanswered += 1;
    }

    /// A message was answered for good: the server takes messages.
    pub(super) fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.pauses.start_over();
        self.at = Instant::now();
    }

    /// A message was refused for the time being: all wait.
    pub(super) fn refused(&mut self, number: usize) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.waiting.insert(number);
        let now = Instant::now();
        if self.at <= now {
            self.at = now + self.pauses.next();
        }
    }

    /// The connection was lost; these were not answered.
    pub(super) fn lost(&mut self, unanswered: impl Iterator<Item = usize>) {
        self.waiting.extend(unanswered);
        self.unanswered = 0;
        self.at = Instant::now();
        self.pauses.start_over();
    }

    /// The oldest of those that wait, as many as may leave now.
    pub(super) fn take(&mut self) -> Vec<usize> {
        let room = UNANSWERED_MAX.saturating_sub(self.unanswered).min(PROBES);
        let taken: Vec<usize> = std::iter::from_fn(|| self.waiting.pop_first()).take(room).collect();
        self.sent_again += taken.len() as u64;
        // Until an answer says that they are taken.
        self.at = Instant::now() + self.pauses.next();
        taken
    }

    /// How often messages were sent again.
    pub(super) fn sent_again(&self) -> u64 {
        self.sent_again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_leaves_in_order_after_a_pause_and_an_answer_ends_the_pause() {
        let mut retries = Retries::new();
        assert_eq!(retries.next_at(), None);
        (0..100).rev().for_each(|number| retries.refused(number));
        assert!(retries.next_at().is_some_and(|at| at > Instant::now()));
        assert_eq!(retries.take(), (0..PROBES).collect::<Vec<_>>());
        assert!(retries.next_at().is_some_and(|at| at > Instant::now()));
        retries.answered();
        assert!(retries.next_at().is_some_and(|at| at <= Instant::now()));
        assert_eq!(retries.take()[0], PROBES);
        assert_eq!(retries.sent_again(), 2 * PROBES as u64);
    }

    #[test]
    fn no_more_are_unanswered_than_a_server_should_have_to_take() {
        let mut retries = Retries::new();
        retries.lost(0..1_000);
        for _ in 0..UNANSWERED_MAX / PROBES {
            assert!(retries.next_at().is_some());
            retries.take().iter().for_each(|_| retries.sent());
        }
        assert_eq!(retries.next_at(), None);
        retries.lost(0..UNANSWERED_MAX);
        assert_eq!(retries.take().len(), PROBES);
    }
}
