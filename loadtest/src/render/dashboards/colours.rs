//! One colour for each hop, on all dashboards and in reports. Told apart by most colour-blind people, on dark and on light.

use hopline::hop::Hop;
use serde_json::{Value, json};

/// What clients measured.
pub(super) const CLIENTS: &str = "#8A8D98";
/// A limit, and what is beyond it.
pub(super) const BAD: &str = "#E02F44";
/// What is within a limit.
pub(super) const GOOD: &str = "#37872D";

/// A hop's colour.
pub(crate) const fn of(hop: Hop) -> &'static str {
    match hop {
        Hop::Accept => "#E69F00",
        Hop::Persist => "#1F78C1",
        Hop::Outbox => "#D55E00",
        Hop::Publish => "#A0724A",
        Hop::Broadcast => "#CC79A7",
        Hop::Receive => "#009E73",
        Hop::Send => "#56B4E9",
        Hop::Total => "#8F5BD9",
    }
}

/// Gives every series that is named after a hop the hop's colour.
pub(super) fn by_hop() -> Vec<Value> {
    Hop::ALL.map(|hop| named(hop.as_str(), "color", &fixed(of(hop)))).into()
}

/// A colour that does not depend on the value.
pub(super) fn fixed(colour: &str) -> Value {
    json!({ "mode": "fixed", "fixedColor": colour })
}

/// An override of one property of the series with this name.
pub(super) fn named(name: &str, property: &str, value: &Value) -> Value {
    json!({
        "matcher": { "id": "byName", "options": name },
        "properties": [{ "id": property, "value": value }],
    })
}

/// An override of one property of the series whose names this matches.
pub(super) fn matching(pattern: &str, property: &str, value: &Value) -> Value {
    json!({
        "matcher": { "id": "byRegexp", "options": format!("/{pattern}/") },
        "properties": [{ "id": property, "value": value }],
    })
}
