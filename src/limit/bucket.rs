//! The rate at which one client may do something.

use std::time::Duration;

use tokio::time::Instant;

/// So many a second over a longer time, and so many at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    interval: Duration,
    /// What a burst takes of the time to come.
    burst: Duration,
}

impl Rate {
    /// `per_s` a second, `burst` at once. Neither may be 0.
    pub fn new(per_s: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_s;
        Self { interval, burst: interval * burst }
    }
}

/// A token bucket, kept as one moment: the generic cell rate algorithm (ITU-T I.371, annex A, "virtual scheduling").
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// When it is full again; none, or in the past, if it is.
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes a token; if there is none, says how long it takes until there is one.
    pub fn take(&mut self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + rate.interval;
        let missing = (full_at - now).saturating_sub(rate.burst);
        if !missing.is_zero() {
            return Err(missing);
        }
        self.full_at = Some(full_at);
        Ok(())
    }

    /// Whether it is as good as a new one.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_counts() {
        let (rate, mut bucket, start) = (Rate::new(10, 3), Bucket::default(), Instant::now());
        let mut at = |ms| bucket.take(&rate, start + Duration::from_millis(ms));
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(0), Err(Duration::from_millis(100)));
        assert_eq!(at(40), Err(Duration::from_millis(60)), "a refusal takes no token");
        assert_eq!([at(100), at(200)], [Ok(()); 2]);
        assert_eq!(at(250), Err(Duration::from_millis(50)));
        assert_eq!([at(10_000), at(10_000), at(10_000)], [Ok(()); 3], "a long pause fills it to the burst");
        assert!(at(10_000).is_err());
    }

    #[test]
    fn it_is_full_once_all_tokens_are_back() {
        let (rate, mut bucket, start) = (Rate::new(10, 3), Bucket::default(), Instant::now());
        assert!(bucket.is_full(start));
        bucket.take(&rate, start).unwrap();
        assert!(!bucket.is_full(start + Duration::from_millis(99)));
        assert!(bucket.is_full(start + Duration::from_millis(100)));
    }
}
