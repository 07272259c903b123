//! The one clock of a run.

use std::time::{Duration, Instant};

/// Counts microseconds from the moment of the plan's first message. Sender and receivers are in one
/// process, so that no two clocks need to agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose zero lies a little ahead.
    pub(crate) fn starting_in(delay: Duration) -> Self {
        Self { start: Instant::now() + delay }
    }

    /// Now. 32 bits last for 71 minutes; a run's length is limited to an hour.
    pub(crate) fn now_us(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_micros()).unwrap_or(u32::MAX)
    }

    /// The moment at which the clock shows `since_start`.
    pub(crate) fn moment(&self, since_start: Duration) -> Instant {
        self.start + since_start
    }
}
