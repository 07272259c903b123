//! What must hold of a drill beside the audit, and what was measured of it.

use std::time::Duration;

use hopline::protocol::CloseCode;
use serde::Serialize;

use super::Figures;
use crate::run::{How, Trouble};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The 99th percentile of deliveries of what was due in the fault.
    DeliveredP99(Duration),
    /// From the end of the fault until nothing is overdue.
    Healed(Duration),
    /// From the moment at which a client lost its connection until it has everything that it missed: the longest.
    Recovered(Duration),
    /// From the send until a publish is refused while the database is gone: the median.
    RefusedWithin(Duration),
    /// No message is acknowledged while the database is gone.
    NothingAcknowledged,
    /// No client's connection ends otherwise.
    OnlyClosedBy(CloseCode),
}

/// What was measured of a bound.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// What must hold, in words.
    pub(crate) what: String,
    /// What was measured.
    pub(crate) measured: String,
    pub(crate) holds: bool,
}

impl Bound {
    /// Compares it with what was measured.
    pub(crate) fn check(self, figures: &Figures, trouble: &Trouble) -> Check {
        let (measured, holds) = match self {
            Self::DeliveredP99(limit) => within(figures.fault_p99_ms, limit),
            Self::Healed(limit) => within(figures.heal_ms, limit),
            Self::Recovered(limit) => within(figures.recovery_max_ms, limit),
            Self::RefusedWithin(limit) => within(figures.refused_after_p50_ms, limit),
            Self::NothingAcknowledged => count(figures.acknowledged_while_gone),
            Self::OnlyClosedBy(code) => {
                let otherwise = |how| how != How::Ordered && how != How::Closed(code.number());
                let others = trouble.losses.iter().filter(|loss| otherwise(loss.how));
                count(others.count() as u64)
            }
        };
        Check { what: self.text(), measured, holds }
    }

    /// In words.
    pub(crate) fn text(self) -> String {
        let ms = |limit: Duration| limit.as_millis();
        match self {
            Self::DeliveredP99(limit) => format!("p99 of deliveries in the fault within {} ms", ms(limit)),
            Self::Healed(limit) => format!("all caught up within {} ms after the fault", ms(limit)),
            Self::Recovered(limit) => {
                format!("each client that lost its connection has everything within {} ms", ms(limit))
            }
            Self::RefusedWithin(limit) => {
                format!("publishes are refused within {} ms (median) while the database is gone", ms(limit))
            }
            Self::NothingAcknowledged => "nothing is acknowledged while the database is gone".to_owned(),
            Self::OnlyClosedBy(code) => {
                format!("no connection ends but by {} {}", code.number(), code.as_str())
            }
        }
    }
}

/// What was not measured doesn't hold.
fn within(ms: Option<f64>, limit: Duration) -> (String, bool) {
    let measured = ms.map_or("not measured".to_owned(), |ms| format!("{ms:.0} ms"));
    (measured, ms.is_some_and(|ms| ms <= limit.as_secs_f64() * 1_000.0))
}

fn count(count: u64) -> (String, bool) {
    (count.to_string(), count == 0)
}
