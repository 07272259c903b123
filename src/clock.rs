//! One clock a process: it never steps back, and it reads as Unix time.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

static ANCHOR: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (Instant::now(), u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
});

/// Unix time in microseconds, as it was when the process first asked plus the monotonic time since then.
///
/// Differences within one process are therefore exact whatever happens to the wall clock; differences
/// between processes are as good as their wall clocks agreed when they started.
pub fn now_us() -> u64 {
    let (start, start_us) = *ANCHOR;
    start_us.saturating_add(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
}
