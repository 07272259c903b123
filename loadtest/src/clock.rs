//! The one clock of a run.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Counts microseconds from the moment of the plan's first message. Sender and receivers are in one
/// process, so that no two clocks need to agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// What a clock on the wall shows at the start, in microseconds.
    start_unix_us: u64,
}

impl Clock {
    /// A clock whose zero lies a little ahead.
    pub(crate) fn starting_in(delay: Duration) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = Instant::now() + delay;
        let start_unix_us = u64::try_from((since_epoch + delay).as_micros()).unwrap_or(u64::MAX);
        Self { start, start_unix_us }
    }

    /// Now. 32 bits last for 71 minutes; a run's length is limited to an hour.
    pub(crate) fn now_us(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_micros()).unwrap_or(u32::MAX)
    }

    /// The moment at which the clock shows `since_start`.
    pub(crate) fn moment(&self, since_start: Duration) -> Instant {
        self.start + since_start
    }

    /// What this clock showed when a server's showed `unix_us`, in microseconds; negative before the start.
    pub(crate) fn us_of_unix(&self, unix_us: u64) -> i64 {
        i64::try_from(unix_us).unwrap_or(i64::MAX) - i64::try_from(self.start_unix_us).unwrap_or(i64::MAX)
    }

    /// The same moment as Unix time in microseconds, as servers have it: the wall clock's time when the run
    /// began, plus the monotonic time since then. On one machine the two agree.
    pub(crate) fn unix_us(&self, us: u32) -> u64 {
        self.start_unix_us.saturating_add(u64::from(us))
    }
}
