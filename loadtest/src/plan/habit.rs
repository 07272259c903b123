//! Which subscribers come and go, and when.

use std::time::Duration;

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::layout::{Churn, Layout, Reconnect};

/// When a subscriber leaves and how it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Habit {
    /// From the start until it leaves for the first time.
    pub(crate) first: Duration,
    /// From its return until it leaves again.
    pub(crate) stay: Duration,
    pub(crate) away: Duration,
    /// Whether it asks for what it missed.
    pub(crate) recovers: bool,
}

impl Habit {
    fn new(stay: Duration, away: Duration, recovers: bool) -> Self {
        Self { first: stay, stay, away, recovers }
    }
}

impl Layout {
    /// Of each subscriber, whether and how it comes and goes. Those who come back at once are chosen first.
    pub(crate) fn habits(&self) -> Vec<Option<Habit>> {
        let mut habits = vec![None; self.subscribers];
        let mut order: Vec<usize> = (0..self.subscribers).collect();
        order.shuffle(&mut StdRng::seed_from_u64(self.seed));
        let mut order = order.into_iter();
        let seconds = Duration::from_secs_f64;
        if let Some(Reconnect { share, every_s }) = self.reconnect {
            let habit = Habit::new(seconds(every_s), Duration::ZERO, true);
            self.assign(habit, share, &mut order, &mut habits);
        }
        if let Some(Churn { share, stay_s, away_s }) = self.churn {
            let habit = Habit::new(seconds(stay_s), seconds(away_s), false);
            self.assign(habit, share, &mut order, &mut habits);
        }
        habits
    }

    /// Gives a share of the subscribers a habit; they leave one after the other.
    fn assign(
        &self,
        habit: Habit,
        share: f64,
        order: &mut impl Iterator<Item = usize>,
        habits: &mut [Option<Habit>],
    ) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of them")]
        let count = (self.subscribers as f64 * share).round() as usize;
        for (rank, subscriber) in order.take(count).enumerate() {
            let first = habit.stay.mul_f64((rank as f64 + 0.5) / count as f64);
            habits[subscriber] = Some(Habit { first, ..habit });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_subscribers_come_and_go_one_after_the_other() {
        let layout = Layout {
            reconnect: Some(Reconnect { share: 0.1, every_s: 6.0 }),
            churn: Some(Churn { share: 0.2, stay_s: 5.0, away_s: 1.0 }),
            ..Layout::default()
        };
        let habits = layout.habits();
        assert_eq!(habits, layout.habits(), "the same seed makes the same plan");
        let mut back_at_once: Vec<_> = habits.iter().flatten().filter(|habit| habit.recovers).collect();
        assert_eq!(back_at_once.len(), 30);
        assert_eq!(habits.iter().flatten().count(), 90);
        back_at_once.sort_by_key(|habit| habit.first);
        assert_eq!(back_at_once[0].first, Duration::from_millis(100));
        assert_eq!(back_at_once[1].first, Duration::from_millis(300));
        assert_ne!(habits, Layout { seed: 2, ..layout }.habits());
    }
}
