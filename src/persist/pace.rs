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
    /// When the batch that is being committed was taken; 0 if there is none.
    taken_us: AtomicU64,
}

impl Pace {
    /// The wait behind so many messages: theirs, and what the turn in progress has lasted, for it may last as long again.
    /// Every turn ends, and behind none there is no other wait: so there is always a next one to learn from.
    pub(super) fn expected_wait(&self, queued: usize, now_us: u64) -> Duration {
        let message_ns = self.message_ns.load(Ordering::Relaxed);
        let in_progress = match self.taken_us.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            taken_us => Duration::from_micros(now_us.saturating_sub(taken_us)),
        };
        in_progress + Duration::from_nanos(message_ns.saturating_mul(queued as u64))
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
    fn a_commit_that_does_not_end_is_waited_for_by_who_comes() {
        let pace = after([unhurried(3)]);
        pace.taken(1_000 * MS);
        assert_eq!(pace.expected_wait(0, 1_700 * MS).as_millis(), 700);
        Turns::default().end(unhurried(701), &pace);
        assert_eq!(pace.expected_wait(0, 1_800 * MS), Duration::ZERO);
    }

    #[test]
    fn whoever_comes_first_never_waits() {
        assert_eq!(wait_ms(&after([hurried(60_000, 1)]), 0), 0);
        assert_eq!(wait_ms(&Pace::default(), 4096), 0);
    }

    /// A writer whose turns take `fixed_us` and `row_us` a message, and messages that come at a constant rate. Returns how
    /// many were refused, and how long the accepted ones of the second half took, in order.
    fn simulate(fixed_us: u64, row_us: u64, rate_per_s: u64, seconds: u64) -> (u64, Vec<u64>) {
        let (pace, mut turns) = (Pace::default(), Turns::default());
        let (mut queue, mut batch): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        let (mut taken_us, mut refused, mut took_us) = (0, 0, Vec::new());
        for now_us in (1..=rate_per_s * seconds).map(|number| number * 1_000_000 / rate_per_s) {
            loop {
                if batch.is_empty() && !queue.is_empty() {
                    batch = queue.drain(..queue.len().min(BATCH_MAX)).collect();
                    taken_us = taken_us.max(batch[0]);
                    pace.taken(taken_us);
                }
                let us = fixed_us + row_us * batch.len() as u64;
                if batch.is_empty() || taken_us + us > now_us {
                    break;
                }
                let backlogged = batch.len() == BATCH_MAX;
                turns.end(Turn { us, room: BATCH_MAX, backlogged }, &pace);
                taken_us += us;
                let late = batch.drain(..).filter(|came_us| *came_us > seconds * 500_000);
                took_us.extend(late.map(|came_us| taken_us - came_us));
            }
            if pace.expected_wait(queue.len(), now_us) > Duration::from_millis(500) {
                refused += 1;
            } else {
                queue.push(now_us);
            }
        }
        took_us.sort_unstable();
        (refused, took_us)
    }

    #[test]
    fn a_system_that_keeps_up_is_never_refused() {
        for (fixed_us, row_us, rate_per_s) in [(1_000, 30, 20_000), (25_000, 20, 6_000), (80_000, 10, 2_500)]
        {
            assert_eq!(simulate(fixed_us, row_us, rate_per_s, 20).0, 0, "{fixed_us} {row_us} {rate_per_s}");
        }
    }

    #[test]
    fn one_that_does_not_is_used_and_what_it_accepts_waits_for_the_maximum_and_two_turns() {
        for (fixed_us, row_us, capacity_per_s) in
            [(1_000, 2_000, 500), (25_000, 400, 2_000), (300_000, 10, 800)]
        {
            let (refused, took_us) = simulate(fixed_us, row_us, capacity_per_s * 10, 20);
            let (count, p99_us) = (took_us.len() as u64, took_us[took_us.len() * 99 / 100]);
            assert!(refused > 0 && count * 10 >= capacity_per_s * 10 * 8, "{fixed_us} {row_us}: {count}");
            let turn_us = fixed_us + row_us * BATCH_MAX as u64;
            assert!(p99_us < 500_000 + 2 * turn_us, "{fixed_us} {row_us}: {p99_us}");
        }
    }
}
