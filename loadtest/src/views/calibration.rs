//! By how much each hop moved when one of them was delayed.

use hopline::hop::Hop;
use serde::Serialize;

use super::{KEYS, View, Views, figures, hop_of};
use crate::latency::Key;

/// How far a mean may be off: a timer's tick and what the delay changes in how messages meet.
pub(crate) const TOLERANCE_MS: f64 = 2.0;
/// Two hops that overlap: what is held before its PUBLISH has neither been acknowledged nor arrived.
pub(crate) const OVERLAP: (Hop, Hop) = (Hop::Publish, Hop::Broadcast);

/// One hop's turn.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Calibration {
    /// The hop in which messages were held.
    pub(crate) delayed: Hop,
    pub(crate) moves: Vec<Move>,
}

/// By how much a hop's mean moved in each view, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Move {
    #[serde(flatten)]
    pub(crate) key: Key,
    /// By how much it should have moved.
    pub(crate) expected_ms: f64,
    pub(crate) clients_ms: Option<f64>,
    pub(crate) prometheus_ms: Option<f64>,
    pub(crate) spans_ms: Option<f64>,
}

impl Calibration {
    pub(crate) fn of(delayed: Hop, delay_ms: u64, baseline: &Views, views: &Views) -> Self {
        let moved = |before: &View, after: &View, key| {
            Some(figures(after, key)?.mean_ms - figures(before, key)?.mean_ms)
        };
        let of_key = |key| Move {
            key,
            expected_ms: if moves(delayed, hop_of(key)) { delay_ms as f64 } else { 0.0 },
            clients_ms: moved(&baseline.clients, &views.clients, key),
            prometheus_ms: moved(&baseline.prometheus, &views.prometheus, key),
            spans_ms: moved(&baseline.spans, &views.spans, key),
        };
        Self { delayed, moves: KEYS.map(of_key).into() }
    }

    /// Whether every hop moved as it should have, in every view.
    pub(crate) fn holds(&self) -> bool {
        self.moves.iter().all(Move::holds)
    }
}

impl Move {
    /// Whether it moved as it should have. No client can tell of `publish` and `send`; the other views must.
    pub(crate) fn holds(&self) -> bool {
        let fits = |moved: f64| (moved - self.expected_ms).abs() <= TOLERANCE_MS;
        self.clients_ms.is_none_or(fits)
            && self.prometheus_ms.is_some_and(fits)
            && self.spans_ms.is_some_and(fits)
    }
}

fn moves(delayed: Hop, hop: Hop) -> bool {
    hop == delayed || hop == Hop::Total || (delayed, hop) == OVERLAP
}
