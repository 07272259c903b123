//! One clock a process: it never steps back, and it reads as Unix time.

use std::{
    sync::{LazyLock, OnceLock},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

static SHIFT_MS: OnceLock<i64> = OnceLock::new();

static ANCHOR: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch_us = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
    let shift_us = SHIFT_MS.get().copied().unwrap_or(0).saturating_mul(1_000);
    (Instant::now(), epoch_us.saturating_add_signed(shift_us))
});

/// Lets this process's clock be ahead of the machine's by so many milliseconds, or behind it. A fault: to be called, if at
/// all, before anyone asks for the time.
pub fn shift(ms: i64) {
    let _ = SHIFT_MS.set(ms);
}

/// Unix time in microseconds, as it was when the process first asked plus the monotonic time since then.
///
/// Differences within one process are therefore exact whatever happens to the wall clock; differences
/// between processes are as good as their wall clocks agreed when they started.
pub fn now_us() -> u64 {
    let (start, start_us) = *ANCHOR;
    start_us.saturating_add(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
}
