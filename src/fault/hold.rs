//! The holding of messages in one place of a hop.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{FAULTS, Switches};
use crate::{clock, hop::Hop};

/// Holds messages in a hop as the switches say. Nothing if faults can't be switched.
pub struct Hold(Option<Held>);

struct Held {
    hop: Hop,
    switches: watch::Receiver<Switches>,
    /// When a serial delay lets the next message in.
    free_at: Instant,
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

    /// Whether anything may be held here.
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Returns when a message that came into the hop at `since_us` may go on.
    pub async fn pass(&mut self, since_us: u64) {
        if let Some(held) = &mut self.0 {
            held.while_stalled().await;
            held.delay(since_us).await;
        }
    }
}

impl Held {
    async fn while_stalled(&mut self) {
        if self.hop == Hop::Broadcast {
            // Fails only when the switches are gone, and they never are.
            let _ = self.switches.wait_for(|switches| !switches.stall_subscriber).await;
        }
    }

    async fn delay(&mut self, since_us: u64) {
        let Some(delay) = self.switches.borrow().delays.get(&self.hop).copied() else {
            return;
        };
        let now = Instant::now();
        let length = Duration::from_millis(delay.delay_ms);
        let passed = Duration::from_micros(clock::now_us().saturating_sub(since_us));
        let came = now.checked_sub(passed).unwrap_or(now);
        let until = if delay.serial {
            // Counted from when the message came, not from when this task got to it: timers that are late cost no rate.
            self.free_at = self.free_at.max(came) + length;
            self.free_at
        } else {
            came + length
        };
        sleep_until(until).await;
    }
}
