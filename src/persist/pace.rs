//! How long a message would have to wait for its commit, so that one which would wait too long is refused at once.
//!
//! Little's law (L = λW) solved for the wait: what waits, times the time that each of it takes. As in `CoDel` (RFC 8289)
//! time is what counts, not length: thousands of messages that go with the next few commits are no overload.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Of what turns under a backlog showed, so much still counts one turn later.
const KEPT: f64 = 7.0 / 8.0;

/// What a writer tells those who queue. Before its first turn no wait is expected.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// What a waiting message adds to the wait of those behind it, in nanoseconds.
    message_ns: AtomicU64,
    /// How long the last turn lasted.
    turn_us: AtomicU64,
    /// When the batch that is being committed was taken; 0 if there is none.
    taken_us: AtomicU64,
}

impl Pace {
    /// The wait behind so many messages: the rest of the turn in progress, and theirs. Every turn ends, and without one and
    /// behind none there is no wait: so there is always a next turn to learn from.
    pub(super) fn expected_wait(&self, queued: usize, now_us: u64) -> Duration {
        let message_ns = self.message_ns.load(Ordering::Relaxed);
        self.rest_of_turn(now_us) + Duration::from_nanos(message_ns.saturating_mul(queued as u64))
    }

    /// A turn lasts as long as the last one; if it has lasted longer, it may last as long again.
    fn rest_of_turn(&self, now_us: u64) -> Duration {
        let taken_us = self.taken_us.load(Ordering::Relaxed);
        if taken_us == 0 {
            return Duration::ZERO;
        }
        let lasted_us = now_us.saturating_sub(taken_us);
        let rest_us = self.turn_us.load(Ordering::Relaxed).checked_sub(lasted_us);
        Duration::from_micros(rest_us.unwrap_or(lasted_us))
    }

    /// A batch was taken.
    pub(super) fn taken(&self, now_us: u64) {
        self.taken_us.store(now_us, Ordering::Relaxed);
    }
}

/// What a writer's turns show: how long they last, and how many messages one could take.
#[derive(Debug, Default)]
pub(super) struct Turns {
    us: f64,
    messages: f64,
    backlogged: bool,
}

/// From when a writer could begin with a batch until it is committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) us: u64,
    /// So many messages it would have taken.
    pub(super) room: usize,
    /// Whether there were as many, so that others had to wait for the next one.
    pub(super) backlogged: bool,
}

impl Turns {
    /// A turn is over. Each one says afresh how long a batch takes, which is as good as all that it could have taken:
    /// a slow commit of few messages may be a slow disk, which costs a full batch no more. Only a backlog shows what
    /// the system can do; its turns are averaged.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and far from the limit"
    )]
    pub(super) fn end(&mut self, turn: Turn, pace: &Pace) {
        let kept = if turn.backlogged && self.backlogged { KEPT } else { 0.0 };
        self.us = self.us * kept + turn.us as f64;
        self.messages = self.messages * kept + turn.room as f64;
        self.backlogged = turn.backlogged;
        let message_ns = self.us * 1e3 / self.messages.max(1.0);
        pace.message_ns.store(message_ns as u64, Ordering::Relaxed);
        pace.turn_us.store(turn.us, Ordering::Relaxed);
        pace.taken_us.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH_MAX: usize = 256;
    const MS: u64 = 1000;

    /// The pace after these turns.
    fn after(turns: impl IntoIterator<Item = Turn>) -> Pace {
        let (pace, mut all) = (Pace::default(), Turns::default());
        turns.into_iter().for_each(|turn| all.end(turn, &pace));
        pace
    }

    fn unhurried(ms: u64) -> Turn {
        Turn { us: ms * MS, room: BATCH_MAX, backlogged: false }
    }

    fn hurried(ms: u64, room: usize) -> Turn {
        Turn { us: ms * MS, room, backlogged: true }
    }

    fn wait_ms(pace: &Pace, queued: usize) -> u128 {
        pace.expected_wait(queued, 0).as_millis()
    }

    #[test]
    fn a_slow_disk_with_small_batches_is_not_taken_for_an_overload() {
        let pace = after([unhurried(25)]);
        assert!(wait_ms(&pace, BATCH_MAX) <= 25);
        assert!(wait_ms(&pace, 4096) <= 400, "all 16 batches of a full queue");
    }

    #[test]
    fn a_backlog_shows_what_a_message_takes() {
        let pace = after([unhurried(3), hurried(6, 1), hurried(6, 1)]);
        assert_eq!(wait_ms(&pace, 100), 600);
        let uneven = after((0..100).map(|number| hurried(if number % 2 == 0 { 3 } else { 9 }, 1)));
        assert!((540..=660).contains(&wait_ms(&uneven, 100)), "{}", wait_ms(&uneven, 100));
    }

    #[test]
    fn one_slow_commit_is_forgotten_with_the_next() {
        let pace = after([unhurried(3), unhurried(2000), unhurried(3)]);
        assert!(wait_ms(&pace, 4096) < 100);
    }

    #[test]
    fn a_backlog_that_is_over_is_forgotten_with_the_next_turn() {
        let pace = after((0..1000).map(|_| hurried(6, 1)).chain([unhurried(3)]));
        assert!(wait_ms(&pace, 4096) < 100);
    }

    #[test]
    fn a_turn_in_progress_is_waited_for() {
        let pace = after([unhurried(300)]);
        pace.taken(1_000 * MS);
        let wait_ms = |at_ms: u64| pace.expected_wait(0, at_ms * MS).as_millis();
        assert_eq!([wait_ms(1_000), wait_ms(1_100), wait_ms(1_300)], [300, 200, 0]);
        assert_eq!(wait_ms(1_700), 700, "it hangs");
        Turns::default().end(unhurried(701), &pace);
        assert_eq!(wait_ms(1_800), 0);
    }

    #[test]
    fn whoever_comes_first_never_waits() {
        assert_eq!(wait_ms(&after([hurried(60_000, 1)]), 0), 0);
        assert_eq!(wait_ms(&Pace::default(), 4096), 0);
    }
}
