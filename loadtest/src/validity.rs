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
        reasons.push(format!("… and {} more like these", flaws.len() - FLAWS_SHOWN_MAX));
    }
    if audit.acknowledged == 0 || audit.delivered == 0 {
        reasons.push(
            "nothing was exercised: no message was acknowledged and delivered. Look at the servers' logs"
                .to_owned(),
        );
    }
    if let Some(planned) = planned.filter(|&planned| audit.sent < planned) {
        reasons.push(format!("only {} of {planned} planned messages were sent", audit.sent));
    }
    let unanswered = audit.sent - audit.acknowledged;
    if unanswered > 0 {
        let refused: Vec<String> =
            audit.refused.iter().map(|(code, count)| format!("{code}: {count}")).collect();
        let (how, advice) = if refused.is_empty() {
            ("unanswered".to_owned(), "Look at the servers' logs")
        } else {
            (refused.join(", "), "Lower the rate")
        };
        reasons.push(format!(
            "{unanswered} messages were not acknowledged ({how}), so that their latencies are missing from the \
             figures. {advice}"
        ));
    }
    let send_lag = Key { measure: Measure::SendLag, origin: None, recipient: None };
    if let Some(lag) = latencies.get(send_lag).map(|series| series.percentile_ms(99.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons_of(change: impl FnOnce(&mut Audit), lag_ms: u32, flaws: &[String]) -> Vec<String> {
        let mut audit = Audit { sent: 10, acknowledged: 10, delivered: 10, ..Audit::default() };
        change(&mut audit);
        let lag = Key { measure: Measure::SendLag, origin: None, recipient: None };
        reasons(Some(10), &audit, &Latencies::constant(lag, lag_ms, 10), flaws)
    }

    #[test]
    fn a_complete_and_punctual_run_is_valid() {
        assert_eq!(reasons_of(|_| {}, 1, &[]), [""; 0]);
    }

    #[test]
    fn a_run_that_exercised_nothing_is_invalid() {
        let reasons = reasons_of(|audit| audit.delivered = 0, 1, &[]);
        assert!(reasons[0].starts_with("nothing was exercised"), "{reasons:?}");
    }

    #[test]
    fn a_run_that_sent_less_than_planned_is_invalid() {
        let short = |audit: &mut Audit| (audit.sent, audit.acknowledged) = (9, 9);
        assert_eq!(reasons_of(short, 1, &[]), ["only 9 of 10 planned messages were sent"]);
    }

    #[test]
    fn unacknowledged_messages_make_a_run_invalid() {
        let refused = |audit: &mut Audit| {
            audit.acknowledged = 8;
            audit.refused.insert("busy", 2);
        };
        let reasons = reasons_of(refused, 1, &[]);
        assert!(reasons[0].starts_with("2 messages were not acknowledged (busy: 2)"), "{reasons:?}");
    }

    #[test]
    fn a_late_generator_makes_a_run_invalid() {
        let reasons = reasons_of(|_| {}, 11, &[]);
        assert!(reasons[0].starts_with("the generator fell behind"), "{reasons:?}");
    }

    #[test]
    fn what_the_clients_complain_of_is_told_but_not_endlessly() {
        let flaws: Vec<String> = (0..100).map(|number| format!("flaw {number}")).collect();
        let reasons = reasons_of(|_| {}, 1, &flaws);
        assert_eq!(reasons.len(), FLAWS_SHOWN_MAX + 1);
        assert_eq!(reasons.last().unwrap(), "… and 90 more like these");
    }
}
