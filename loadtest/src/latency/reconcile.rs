//! Whether the hops add up to `total`.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    audit::Record,
    run::{HopSample, Outcome, Upstream},
};

/// Shares are kept in hundredths of a percent, up to ten times the total.
const SHARE_MAX: u64 = 100_000;

/// Of each message and server whose timing was noted, by which share of `total` the hops on its way miss it, in percent.
/// These are `send_lag`, `uplink`, accept, persist, outbox, broadcast, receive and `send_and_drain`. Where clocks don't agree,
/// or something isn't measured, they don't add up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Reconciliation {
    pub(crate) count: u64,
    pub(crate) p50_percent: f64,
    pub(crate) p90_percent: f64,
    pub(crate) p99_percent: f64,
}

impl Reconciliation {
    /// None if no timing was noted.
    pub(crate) fn of(outcome: &Outcome) -> Option<Self> {
        let mut shares =
            Histogram::<u64>::new_with_bounds(1, SHARE_MAX, 3).expect("the bounds and the digits are legal");
        for sample in &outcome.samples {
            let record = outcome.evidence.records.get(sample.index);
            let record = record.filter(|record| outcome.window_us.contains(&record.intended_us));
            if let Some(record) = record
                && let Some(unexplained_us) = unexplained_us(sample, record)
            {
                let total_us = u64::from(sample.at_us.saturating_sub(record.intended_us)).max(1);
                shares.saturating_record(unexplained_us.unsigned_abs() * 10_000 / total_us);
            }
        }
        let percent = |percentile| shares.value_at_percentile(percentile) as f64 / 100.0;
        (!shares.is_empty()).then(|| Self {
            count: shares.len(),
            p50_percent: percent(50.0),
            p90_percent: percent(90.0),
            p99_percent: percent(99.0),
        })
    }
}

/// How long the frame took to its server, if it took as long as the acknowledgement back. None if there was none.
pub(super) fn uplink_us(sample: &HopSample, record: &Record) -> Option<i64> {
    let Upstream { accept_us, persist_us, .. } = sample.upstream?;
    let service_us = record.answered_us.saturating_sub(record.sent_us);
    record
        .is_acknowledged()
        .then(|| (i64::from(service_us) - i64::from(accept_us) - i64::from(persist_us)) / 2)
}

/// What is left of `total` beside the hops; negative if they are more. None for a healed message, whose hops aren't known.
pub(super) fn unexplained_us(sample: &HopSample, record: &Record) -> Option<i64> {
    let Upstream { accept_us, persist_us, outbox_us, broadcast_us, .. } = sample.upstream?;
    let send_lag_us = record.sent_us.saturating_sub(record.intended_us);
    let hops =
        [send_lag_us, accept_us, persist_us, outbox_us.unwrap_or_default(), broadcast_us, sample.receive_us];
    let uplink_us = uplink_us(sample, record)?;
    let send_and_drain_us = i64::from(sample.at_us) - sample.handed_us;
    let total_us = i64::from(sample.at_us) - i64::from(record.intended_us);
    Some(total_us - hops.into_iter().map(i64::from).sum::<i64>() - uplink_us - send_and_drain_us)
}
