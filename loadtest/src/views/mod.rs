//! One run, seen three times: by the stamps that come with the messages, by Prometheus, and by the spans.
//!
//! All messages of a run count in each view, so each hop's figures must be the same but for what a view can't
//! resolve: Prometheus knows in which bucket a duration fell.

mod calibration;
mod clients;
mod compare;
mod metrics;
mod spans;
mod take;

use hopline::hop::{Hop, Origin, Recipient};
use serde::Serialize;

use crate::latency::{Key, Measure};

pub(crate) use calibration::{Calibration, OVERLAP, TOLERANCE_MS};
pub(crate) use compare::{Agreement, Row, rows};
pub(crate) use take::{Setting, Views, take};

/// What is compared of a hop, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) count: u64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// The figures of hops, as far as a view has them.
pub(crate) type View = Vec<(Key, Figures)>;

/// Every series of the hops, in the order of a message's path.
pub(crate) const KEYS: [Key; 10] = [
    key(Hop::Accept, None, None),
    key(Hop::Persist, None, None),
    key(Hop::Publish, None, None),
    key(Hop::Broadcast, Some(Origin::Own), None),
    key(Hop::Broadcast, Some(Origin::Peer), None),
    key(Hop::Receive, None, None),
    key(Hop::Send, None, Some(Recipient::First)),
    key(Hop::Send, None, Some(Recipient::Median)),
    key(Hop::Send, None, Some(Recipient::Last)),
    key(Hop::Total, None, None),
];

const fn key(hop: Hop, origin: Option<Origin>, recipient: Option<Recipient>) -> Key {
    Key { measure: Measure::Hop(hop), origin, recipient }
}

/// The hop of a key of [`KEYS`].
pub(crate) const fn hop_of(key: Key) -> Hop {
    match key.measure {
        Measure::Hop(hop) => hop,
        _ => Hop::Total,
    }
}

/// Whether clients can tell of a hop: not of `publish` and `send`, since a message leaves before they end.
const fn clients_can(key: Key) -> bool {
    !matches!(hop_of(key), Hop::Publish | Hop::Send)
}

/// A view's figures of a hop.
pub(crate) fn figures(view: &View, key: Key) -> Option<Figures> {
    view.iter().find(|(its, _)| *its == key).map(|(_, figures)| *figures)
}
