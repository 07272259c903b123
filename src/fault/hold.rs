//! How long a message is held in one place of a hop.

use std::{future::pending, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{FAULTS, Switches};
use crate::{clock, hop::Hop};

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
    /// When it came into the hop.
    came: Instant,
    /// When its turn begins, where messages take turns.
    turn: Instant,
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
        let (now, passed) = (Instant::now(), clock::now_us().saturating_sub(since_us));
        let came = now.checked_sub(Duration::from_micros(passed)).unwrap_or(now);
        // Counted from when it came, not from when someone got to it: a timer that is late costs no rate.
        let turn = self.0.as_ref().map_or(came, |held| held.free_at.max(came));
        Stay { came, turn }
    }

    /// Returns when the message may go on. May be dropped and called again with the same stay.
    pub async fn until_over(&mut self, stay: Stay) {
        if let Some(held) = &mut self.0 {
            held.until_over(stay).await;
        }
    }

    /// Ends the message's stay if its time is over already; returns whether it is.
    pub fn end_if_over(&mut self, stay: Stay) -> bool {
        let Some(held) = &mut self.0 else {
            return true;
        };
        let is_over = held.over_at(stay).is_some_and(|at| at <= Instant::now());
        if is_over {
            held.end(stay);
        }
        is_over
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
        self.end(stay);
    }

    /// The next message's turn begins where this one's is over.
    fn end(&mut self, stay: Stay) {
        if let Some(delay) = self.delay().filter(|delay| delay.serial) {
            self.free_at = stay.turn + Duration::from_millis(delay.delay_ms);
        }
    }

    /// When a stay is over as the switches stand; none while it is stalled.
    fn over_at(&self, stay: Stay) -> Option<Instant> {
        if self.is_stalled() {
            return None;
        }
        let Some(delay) = self.delay() else {
            return Some(stay.came);
        };
        let begun = if delay.serial { stay.turn } else { stay.came };
        Some(begun + Duration::from_millis(delay.delay_ms))
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
