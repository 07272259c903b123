//! What is shown of a run while it goes on: rates, percentiles of the last moments, and whether anyone waits.

use std::{
    fmt::Write as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hopline::hop::Hop;

use super::Tally;
use crate::{latency::Measure, progress::News};

/// In the order of a message's path.
const ROWS: [Measure; 9] = [
    Measure::SendLag,
    Measure::Ack,
    Measure::Hop(Hop::Accept),
    Measure::Hop(Hop::Persist),
    Measure::Hop(Hop::Outbox),
    Measure::Hop(Hop::Broadcast),
    Measure::Hop(Hop::Receive),
    Measure::SendAndDrain,
    Measure::Hop(Hop::Total),
];
const LONGEST_US: u64 = 3_600_000_000;
const DIGITS: u8 = 2;
/// Without a delivery for so long, while messages leave, something is down.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// Durations since anyone looked, and counts since the run began.
#[derive(Debug)]
pub(super) struct Live {
    /// In the order of [`ROWS`], each with a lock of its own: all tasks of a run write them.
    recent: Vec<Mutex<Histogram<u64>>>,
    delivered: AtomicU64,
    /// Subscribers that got something wrong.
    flawed: AtomicU64,
}

impl Live {
    pub(super) fn new() -> Self {
        let recent = ROWS.iter().map(|_| Mutex::new(empty())).collect();
        Self { recent, delivered: AtomicU64::new(0), flawed: AtomicU64::new(0) }
    }

    /// A message has spent so long. One subscriber of each server and channel tells.
    pub(super) fn record(&self, measure: Measure, us: u32) {
        if let Some(row) = ROWS.iter().position(|it| *it == measure) {
            lock(&self.recent[row]).saturating_record(us.into());
        }
    }

    pub(super) fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn flawed(&self) {
        self.flawed.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> Vec<Histogram<u64>> {
        self.recent.iter().map(|row| std::mem::replace(&mut *lock(row), empty())).collect()
    }
}

fn lock(row: &Mutex<Histogram<u64>>) -> MutexGuard<'_, Histogram<u64>> {
    row.lock().unwrap_or_else(PoisonError::into_inner)
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds and the digits are legal")
}

/// Whoever looks, and what was seen the last time.
#[derive(Debug)]
pub(super) struct Viewer {
    looked: Instant,
    counts: Counts,
    /// Since when nothing was delivered, as far as was seen.
    silent_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: u64,
    acknowledged: u64,
    refused: u64,
    delivered: u64,
}

impl Viewer {
    pub(super) fn new() -> Self {
        Self { looked: Instant::now(), counts: Counts::default(), silent_since: None }
    }

    /// What happened since the last look.
    pub(super) fn look(&mut self, live: &Live, tally: &Tally) -> News {
        let counts = Counts {
            sent: tally.sent_count(),
            acknowledged: tally.acknowledged_count(),
            refused: tally.settled_count(),
            delivered: live.delivered.load(Ordering::Relaxed),
        };
        let (now, before) = (Instant::now(), std::mem::replace(&mut self.counts, counts));
        let is_silent = counts.delivered == before.delivered && counts.sent > before.sent;
        self.silent_since = if is_silent { self.silent_since.or(Some(self.looked)) } else { None };
        let seconds = now.duration_since(std::mem::replace(&mut self.looked, now)).as_secs_f64();
        let view = View {
            seconds,
            before,
            counts,
            silent: self.silent_since.map(|since| now.duration_since(since)),
            waiting: tally.waiting().count(),
            flawed: live.flawed.load(Ordering::Relaxed),
            recent: live.take(),
        };
        News { line: view.line(), block: view.block() }
    }
}

/// One look.
struct View {
    seconds: f64,
    before: Counts,
    counts: Counts,
    silent: Option<Duration>,
    waiting: usize,
    flawed: u64,
    recent: Vec<Histogram<u64>>,
}

impl View {
    /// For a log.
    fn line(&self) -> String {
        let figures: Vec<String> = ROWS
            .iter()
            .zip(&self.recent)
            .filter(|(measure, recent)| {
                matches!(measure, Measure::SendLag | Measure::Hop(Hop::Total)) && !recent.is_empty()
            })
            .map(|(measure, recent)| {
                format!("{} p50 {:.2} p99 {:.2} ms", measure.as_str(), ms(recent, 50.0), ms(recent, 99.0))
            })
            .collect();
        [self.rates(), figures.join(", "), self.state()].join("; ")
    }

    /// For a terminal.
    fn block(&self) -> String {
        let mut text = format!("  {}\n  {}\n", self.rates(), self.state());
        let _ = write!(text, "  {:<16}{:>9}{:>9}{:>9}  ms, just now", "", "p50", "p99", "max");
        for (measure, recent) in ROWS.iter().zip(&self.recent).filter(|(_, recent)| !recent.is_empty()) {
            let figures = [50.0, 99.0, 100.0].map(|percentile| format!("{:.3}", ms(recent, percentile)));
            let [p50, p99, max] = figures;
            let _ = write!(text, "\n  {:<16}{p50:>9}{p99:>9}{max:>9}", measure.as_str());
        }
        text
    }

    fn rates(&self) -> String {
        let rate = |count: fn(&Counts) -> u64| {
            count(&self.counts).saturating_sub(count(&self.before)) as f64
                / self.seconds.max(f64::MIN_POSITIVE)
        };
        format!(
            "{:.0}/s sent, {:.0}/s acknowledged, {:.0}/s delivered",
            rate(|counts| counts.sent),
            rate(|counts| counts.acknowledged),
            rate(|counts| counts.delivered)
        )
    }

    /// Everything that should not be.
    fn state(&self) -> String {
        let silent = self.silent.filter(|silent| *silent >= SILENCE_MIN);
        let troubles = [
            silent.map(|silent| format!("nothing delivered for {:.0} s", silent.as_secs_f64())),
            (self.waiting > 0)
                .then(|| format!("{} subscribers wait for an acknowledged message", self.waiting)),
            (self.counts.refused > 0).then(|| format!("{} refused so far", self.counts.refused)),
            (self.flawed > 0).then(|| format!("{} subscribers got something wrong", self.flawed)),
        ];
        let troubles: Vec<String> = troubles.into_iter().flatten().collect();
        if troubles.is_empty() { "audit clean so far".to_owned() } else { troubles.join(", ") }
    }
}

fn ms(histogram: &Histogram<u64>, percentile: f64) -> f64 {
    histogram.value_at_percentile(percentile) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(messages: u64) -> Tally {
        let tally = Tally::new(1, std::iter::once(0));
        (0..messages).for_each(|_| tally.sent());
        tally
    }

    #[test]
    fn a_look_shows_what_came_since_the_last_one() {
        let (live, tally) = (Live::new(), tally(10));
        (0..10).for_each(|_| live.delivered());
        live.record(Measure::Hop(Hop::Total), 2_000);
        let mut viewer = Viewer::new();
        let news = viewer.look(&live, &tally);
        assert!(news.line.contains("total p50 2.01 p99 2.01 ms; audit clean so far"), "{}", news.line);
        assert!(news.block.contains("total               2.007"), "{}", news.block);
        let news = viewer.look(&live, &tally);
        assert!(news.line.starts_with("0/s sent, 0/s acknowledged, 0/s delivered"), "{}", news.line);
        assert!(!news.block.contains("total "), "{}", news.block);
    }

    #[test]
    fn what_should_not_be_is_said() {
        let (live, tally) = (Live::new(), tally(1));
        tally.acknowledged(0, 1);
        tally.refused();
        live.flawed();
        let mut viewer = Viewer::new();
        viewer.silent_since = Instant::now().checked_sub(Duration::from_secs(4));
        let state = "nothing delivered for 4 s, 1 subscribers wait for an acknowledged message, 1 refused so far, \
                     1 subscribers got something wrong";
        let news = viewer.look(&live, &tally);
        assert!(news.line.ends_with(state), "{}", news.line);
    }
}
