//! What became of spans.

use std::{fmt, ops::AddAssign};

use serde::Serialize;

/// What became of spans. Those that are neither exported nor failed nor dropped are still waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SpanCounts {
    /// All of them.
    pub(crate) ended: u64,
    /// The collector took them.
    pub(crate) exported: u64,
    /// The collector didn't take them.
    pub(crate) failed: u64,
    /// Too many were waiting.
    pub(crate) dropped: u64,
}

impl SpanCounts {
    /// Reads what a server says in its metrics; none if an outcome is missing.
    pub(crate) fn of_metrics(text: &str) -> Option<Self> {
        let count = |outcome: &str| {
            let series = format!("hopline_spans_total{{outcome=\"{outcome}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
        };
        Some(Self {
            ended: count("ended")?,
            exported: count("exported")?,
            failed: count("failed")?,
            dropped: count("dropped")?,
        })
    }

    /// Whether it is known of every span what became of it.
    pub(crate) fn add_up(self) -> bool {
        self.ended == self.exported + self.failed + self.dropped
    }
}

impl AddAssign for SpanCounts {
    fn add_assign(&mut self, other: Self) {
        self.ended += other.ended;
        self.exported += other.exported;
        self.failed += other.failed;
        self.dropped += other.dropped;
    }
}

impl fmt::Display for SpanCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ended, exported, failed, dropped } = self;
        write!(formatter, "{ended} ended, {exported} exported, {failed} failed, {dropped} dropped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_counts_are_read() {
        let line =
            |outcome: &str, count: u64| format!("hopline_spans_total{{outcome=\"{outcome}\"}} {count}\n");
        let text = line("dropped", 1) + &line("ended", 7) + &line("exported", 4) + &line("failed", 2);
        let counts = SpanCounts::of_metrics(&text).unwrap();
        assert_eq!(counts, SpanCounts { ended: 7, exported: 4, failed: 2, dropped: 1 });
        assert!(counts.add_up());
        assert!(!SpanCounts { ended: 8, ..counts }.add_up());
        assert_eq!(SpanCounts::of_metrics(&line("dropped", 1)), None);
    }
}
