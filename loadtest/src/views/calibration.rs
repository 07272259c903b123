//! By how much each hop moved when one of them was delayed.

use hopline::hop::Hop;
use serde::Serialize;

use super::{KEYS, View, Views, clients_can, figures, hop_of};
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
        let clients = self.clients_ms.map_or(!clients_can(self.key), fits);
        clients && self.prometheus_ms.is_some_and(fits) && self.spans_ms.is_some_and(fits)
    }
}

fn moves(delayed: Hop, hop: Hop) -> bool {
    hop == delayed || hop == Hop::Total || (delayed, hop) == OVERLAP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(hop: Hop, clients_ms: Option<f64>, prometheus_ms: Option<f64>, spans_ms: Option<f64>) -> bool {
        let key = KEYS.into_iter().find(|key| hop_of(*key) == hop).unwrap();
        Move { key, expected_ms: 20.0, clients_ms, prometheus_ms, spans_ms }.holds()
    }

    #[test]
    fn a_hop_moves_as_it_should_in_every_view_that_can_have_it() {
        let right = Some(20.9);
        assert!(holds(Hop::Persist, right, right, right));
        assert!(!holds(Hop::Persist, Some(0.0), right, right));
        assert!(!holds(Hop::Persist, None, right, right));
        assert!(!holds(Hop::Persist, right, None, right));
        assert!(!holds(Hop::Persist, right, right, Some(23.0)));
        assert!(holds(Hop::Publish, None, right, right));
        assert!(!holds(Hop::Send, None, right, None));
    }

    #[test]
    fn a_delay_in_publish_moves_broadcast_too() {
        assert!(moves(Hop::Publish, Hop::Broadcast));
        assert!(!moves(Hop::Broadcast, Hop::Publish));
        assert!(moves(Hop::Accept, Hop::Total));
    }
}
