//! Whether a run proves anything.

use crate::{
    audit::Audit,
    latency::{Key, Latencies, Measure},
};

/// A generator that is later than this at the 99th percentile measures itself.
const SEND_LAG_P99_MS_MAX: f64 = 10.0;
/// Reasons of the same kind are told so often.
const FLAWS_SHOWN_MAX: usize = 10;

/// Why the run proves nothing, each with what to do about it; empty if it is valid.
pub(crate) fn reasons(
    planned: Option<u64>,
    audit: &Audit,
    latencies: &Latencies,
    flaws: &[String],
) -> Vec<String> {
    let mut reasons: Vec<String> = flaws.iter().take(FLAWS_SHOWN_MAX).cloned().collect();
    if flaws.len() > FLAWS_SHOWN_MAX {
        reasons.push(format!(
            "… and {} more like these",
            flaws.len() - FLAWS_SHOWN_MAX
        ));
    }
    if audit.acknowledged == 0 || audit.delivered == 0 {
        reasons.push(
            "nothing was exercised: no message was acknowledged and delivered. Look at the servers' logs"
                .to_owned(),
        );
    }
    if let Some(planned) = planned.filter(|&planned| audit.sent < planned) {
        reasons.push(format!(
            "only {} of {planned} planned messages were sent",
            audit.sent
        ));
    }
    let unanswered = audit.sent - audit.acknowledged;
    if unanswered > 0 {
        let refused: Vec<String> = audit
            .refused
            .iter()
            .map(|(code, count)| format!("{code}: {count}"))
            .collect();
        let refused = if refused.is_empty() {
            "unanswered".to_owned()
        } else {
            refused.join(", ")
        };
        reasons.push(format!(
            "{unanswered} messages were not acknowledged ({refused}), so that their latencies are missing from \
             the figures. Lower the rate"
        ));
    }
    let send_lag = Key {
        measure: Measure::SendLag,
        origin: None,
        recipient: None,
    };
    if let Some(lag) = latencies
        .get(send_lag)
        .map(|series| series.percentile_ms(99.0))
        && planned.is_some()
        && lag > SEND_LAG_P99_MS_MAX
    {
        reasons.push(format!(
            "the generator fell behind its schedule: p99 of send_lag is {lag:.1} ms, the limit is \
             {SEND_LAG_P99_MS_MAX} ms. Lower the rate, use fewer clients, or run nothing else on the machine"
        ));
    }
    reasons
}
