//! How long a message is held in one place of a hop.

use std::{future::pending, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{FAULTS, Switches};
use crate::{clock, hop::Hop};

/// Tokio's timer is up to so late. What it takes from one message's turn the next one's gives back.
const TIMER_LATENESS: Duration = Duration::from_millis(2);

/// Holds messages in a hop as the switches say. Costs nothing where faults can't be switched.
pub struct Hold(Option<Held>);

struct Held {
    hop: Hop,
    switches: watch::Receiver<Switches>,
    /// When the last message's turn was over, where they take turns.
    free_at: Instant,
}

/// One message's stay, from [`Hold::begin`].
#[derive(Clone, Copy, Debug)]
pub struct Stay {
    since_us: u64,
    /// When its turn begins; none where nothing is ever held.
    turn: Option<Instant>,
}

impl Hold {
    /// Holds what passes one place of `hop`.
    pub fn new(hop: Hop) -> Self {
        let held = |faults: &watch::Sender<Switches>| Held {
            hop,
            switches: faults.subscribe(),
            free_at: Instant::now(),
        };
        Self(FAULTS.get().map(held))
    }

    /// Whether anything is held here now.
    pub fn is_on(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.is_stalled() || held.delay().is_some())
    }

    /// Begins the stay of a message that came into the hop at `since_us`.
    pub fn begin(&self, since_us: u64) -> Stay {
        let Some(held) = &self.0 else {
            return Stay { since_us, turn: None };
        };
        let now = Instant::now();
        let is_next = now.saturating_duration_since(held.free_at) <= TIMER_LATENESS;
        Stay { since_us, turn: Some(if is_next { held.free_at } else { now }) }
    }

    /// Returns when the message may go on. May be dropped and called again with the same stay.
    pub async fn until_over(&mut self, stay: Stay) {
        if let Some(held) = &mut self.0 {
            held.until_over(stay).await;
        }
    }

    /// Whether the message could go on at once.
    pub fn is_over(&self, stay: Stay) -> bool {
        self.0.as_ref().is_none_or(|held| held.over_at(stay).is_some_and(|at| at <= Instant::now()))
    }
}

impl Held {
    async fn until_over(&mut self, stay: Stay) {
        loop {
            self.switches.borrow_and_update();
            let over_at = self.over_at(stay);
            tokio::select! {
                () = reached(over_at) => break,
                // The switches themselves are never dropped.
                _ = self.switches.changed() => {}
            }
        }
        if let Some(delay) = self.delay().filter(|delay| delay.serial) {
            self.free_at = stay.turn.unwrap_or(self.free_at) + Duration::from_millis(delay.delay_ms);
        }
    }

    /// When a stay is over as the switches stand; none while it is stalled.
    fn over_at(&self, stay: Stay) -> Option<Instant> {
        if self.is_stalled() {
            return None;
        }
        let now = Instant::now();
        let Some(delay) = self.delay() else {
            return Some(now);
        };
        let length = Duration::from_millis(delay.delay_ms);
        if delay.serial {
            return Some(stay.turn.unwrap_or(now) + length);
        }
        let passed = Duration::from_micros(clock::now_us().saturating_sub(stay.since_us));
        Some(now + length.saturating_sub(passed))
    }

    fn is_stalled(&self) -> bool {
        self.hop == Hop::Broadcast && self.switches.borrow().stall_subscriber
    }

    fn delay(&self) -> Option<super::Delay> {
        self.switches.borrow().delays.get(&self.hop).copied()
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
