//! Latencies over time, from the ledgers. Each message counts at the moment at which it was due.

use std::{collections::BTreeMap, ops::Range};

use hdrhistogram::Histogram;
use hopline::hop::Hop;

use crate::{
    drill::Window,
    run::{Outcome, Upstream},
};

/// The hops that clients are told of, and the total.
pub(super) const HOPS: [Hop; 6] =
    [Hop::Accept, Hop::Persist, Hop::Outbox, Hop::Broadcast, Hop::Receive, Hop::Total];
/// More columns than this don't fit on a page: a column then stands for several seconds.
const COLUMNS_MAX: u32 = 120;
const US_PER_S: u32 = 1_000_000;
/// A figure of a second needs no third digit.
const DIGITS: u8 = 2;
const LONGEST_US: u64 = 3_600_000_000;
/// Rows of the heat map for each tenfold of latency.
const ROWS_PER_DECADE: f64 = 10.0;

/// A run, second by second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// Seconds that a column stands for.
    pub(super) column_s: u32,
    pub(super) columns: Vec<Column>,
    /// The measured window, in seconds from the first message.
    pub(super) window_s: Range<f64>,
    /// When something was broken on purpose.
    pub(super) faults: Vec<Fault>,
}

/// A time in which something was broken on purpose, in seconds from the first message.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) label: String,
}

/// The messages that were due in a column's seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    /// By hop, in the order of [`HOPS`]; none if nothing was measured.
    pub(super) figures: [Option<Figures>; HOPS.len()],
    /// Deliveries by row of the heat map.
    pub(super) rows: BTreeMap<i32, u64>,
}

/// What is shown of a hop in a column, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Timeline {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let length_s = outcome.window_us.end.div_ceil(US_PER_S).max(1);
        let column_s = length_s.div_ceil(COLUMNS_MAX);
        let mut gathered: Vec<Gathered> = Vec::new();
        gathered.resize_with(length_s.div_ceil(column_s) as usize, Gathered::default);
        let column = |index| {
            let due_us = outcome.evidence.records.get(index)?.intended_us;
            Some((due_us, (due_us / US_PER_S / column_s) as usize))
        };
        for (_, received) in outcome.evidence.ledgers.iter().flat_map(crate::audit::Ledger::iter) {
            if let Some((due_us, place)) = column(received.index)
                && let Some(gathered) = gathered.get_mut(place)
            {
                gathered.total(received.at_us.saturating_sub(due_us));
            }
        }
        for sample in &outcome.samples {
            let place = column(sample.index).map(|(_, place)| place);
            if let Some(gathered) = place.and_then(|place| gathered.get_mut(place)) {
                gathered.hops(sample.upstream, sample.receive_us);
            }
        }
        let seconds = |us| f64::from(us) / f64::from(US_PER_S);
        Self {
            column_s,
            columns: gathered.into_iter().map(Gathered::column).collect(),
            window_s: seconds(outcome.window_us.start)..seconds(outcome.window_us.end),
            faults: Vec::new(),
        }
    }
}

impl Timeline {
    /// The same with times in which something was broken on purpose.
    pub(crate) fn with_faults(self, windows: &[Window]) -> Self {
        let seconds = |us| f64::from(us) / f64::from(US_PER_S);
        let fault = |window: &Window| Fault {
            from_s: seconds(window.us.start),
            to_s: seconds(window.us.end),
            label: window.label.clone(),
        };
        Self { faults: windows.iter().map(fault).collect(), ..self }
    }
}

/// The lower bound of a row of the heat map, in milliseconds.
pub(super) fn row_ms(row: i32) -> f64 {
    10_f64.powf(f64::from(row) / ROWS_PER_DECADE) / 1_000.0
}

#[expect(clippy::cast_possible_truncation, reason = "a u32 has ten decades")]
fn row(us: u32) -> i32 {
    (f64::from(us.max(1)).log10() * ROWS_PER_DECADE).floor() as i32
}

struct Gathered {
    hops: [Histogram<u64>; HOPS.len()],
    rows: BTreeMap<i32, u64>,
}

impl Default for Gathered {
    fn default() -> Self {
        let histogram = |_| {
            Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds and the digits are legal")
        };
        Self { hops: HOPS.map(histogram), rows: BTreeMap::new() }
    }
}

impl Gathered {
    fn total(&mut self, us: u32) {
        self.hops[HOPS.len() - 1].saturating_record(us.into());
        *self.rows.entry(row(us)).or_default() += 1;
    }

    fn hops(&mut self, upstream: Option<Upstream>, receive_us: u32) {
        let [accept, persist, outbox, broadcast, receive, _] = &mut self.hops;
        if let Some(Upstream { accept_us, persist_us, outbox_us, broadcast_us, .. }) = upstream {
            accept.saturating_record(accept_us.into());
            persist.saturating_record(persist_us.into());
            if let Some(us) = outbox_us {
                outbox.saturating_record(us.into());
            }
            broadcast.saturating_record(broadcast_us.into());
        }
        receive.saturating_record(receive_us.into());
    }

    fn column(self) -> Column {
        let figures = self.hops.map(|histogram| {
            let ms = |percentile| histogram.value_at_percentile(percentile) as f64 / 1_000.0;
            (!histogram.is_empty()).then(|| Figures { p50_ms: ms(50.0), p99_ms: ms(99.0) })
        });
        Column { figures, rows: self.rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_what_lies_between_its_bound_and_the_next() {
        for us in [1, 2, 999, 1_000, 1_001, 25_000_000] {
            let (row, ms) = (row(us), f64::from(us) / 1_000.0);
            assert!(row_ms(row) <= ms * 1.000_001 && ms < row_ms(row + 1), "{us} µs in row {row}");
        }
    }

    #[test]
    fn a_column_has_figures_of_what_was_measured_only() {
        let mut gathered = Gathered::default();
        (1..=100).for_each(|ms| gathered.total(ms * 1_000));
        gathered.hops(None, 20);
        let column = gathered.column();
        let [accept, _, _, _, receive, total] = column.figures;
        assert_eq!(accept, None);
        assert_eq!(receive, Some(Figures { p50_ms: 0.02, p99_ms: 0.02 }));
        assert!((total.unwrap().p99_ms / 99.0 - 1.0).abs() < 0.01);
        assert_eq!(column.rows.values().sum::<u64>(), 100);
    }
}
