//! What can be switched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hop::Hop;

/// The longest delay.
const DELAY_MAX_MS: u64 = 60_000;

/// All switches of a server. By default none is on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Switches {
    /// Messages are held in these hops.
    pub delays: BTreeMap<Hop, Delay>,
    /// This share of what comes from the broker is lost, as Redis may: 0 to 1.
    pub lost_share: f64,
    /// Messages go to the broker without their trace context: traces end there.
    pub lose_context: bool,
    /// What comes from the broker is held until this is off again. Heartbeats are still answered.
    pub stall_subscriber: bool,
    /// Gaps are found, and stay open: clients of this server wait for ever. For showing that a check can fail.
    pub no_heal: bool,
    /// Publishers have their answer shortly before the COMMIT. For showing that a check can fail.
    pub ack_before_commit: bool,
    /// The process aborts right after its next COMMIT, which it neither publishes nor answers.
    pub crash_after_commit: bool,
    /// The process aborts right after the broker has acknowledged its next batch from the outbox, which stays there.
    pub crash_after_publish: bool,
}

/// How messages are held in a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// For so long.
    pub delay_ms: u64,
    /// One after the other, so that the hop takes at most one message each `delay_ms` and a queue builds up; in `send`
    /// one of each client. Otherwise each one on its own, and none waits for another one.
    #[serde(default)]
    pub serial: bool,
}

/// Why switches can't be set.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSwitches {
    /// A hop that spans others.
    #[error("`total` spans the other hops; delay one of those")]
    Total,
    /// Too long.
    #[error("delay_ms is at most {DELAY_MAX_MS}")]
    Delay,
    /// Not a share.
    #[error("lost_share is from 0 to 1")]
    Share,
}

impl Switches {
    /// Whether they can be set.
    pub fn check(&self) -> Result<(), InvalidSwitches> {
        if self.delays.contains_key(&Hop::Total) {
            Err(InvalidSwitches::Total)
        } else if self.delays.values().any(|delay| delay.delay_ms > DELAY_MAX_MS) {
            Err(InvalidSwitches::Delay)
        } else if (0.0..=1.0).contains(&self.lost_share) {
            Ok(())
        } else {
            Err(InvalidSwitches::Share)
        }
    }
}
