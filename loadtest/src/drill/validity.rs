//! Why a drill proves nothing.

use super::Drilled;

/// Messages that a drill takes to prove anything: in all, within its fault, and after it. A quick one takes a tenth.
const ACKNOWLEDGED_MIN: u64 = 10_000;
const SENT_IN_FAULT_MIN: u64 = 2_000;
const DUE_AFTERWARDS_MIN: u64 = 500;
/// A generator that was later than this before the fault measures itself: a tenth of the tightest limit.
const SEND_LAG_MS_MAX: f64 = 100.0;

/// Each reason; none if it proves something. A quick drill takes a tenth of the messages.
pub(crate) fn reasons(drilled: &Drilled, quick: bool) -> Vec<String> {
    let Drilled { outcome, audit, figures, seen, missed, .. } = drilled;
    let share = if quick { 10 } else { 1 };
    let mut reasons = missed.clone();
    let in_fault = if drilled.only_server {
        ("due while the only server was gone", figures.due_in_fault)
    } else {
        ("sent while something was broken", figures.sent_in_fault)
    };
    let enough = [
        ("acknowledged", figures.acknowledged, ACKNOWLEDGED_MIN / share),
        (in_fault.0, in_fault.1, SENT_IN_FAULT_MIN / share),
        ("due after it was mended", figures.due_afterwards, DUE_AFTERWARDS_MIN / share),
    ];
    for (what, count, least) in enough.into_iter().filter(|(_, count, least)| count < least) {
        reasons.push(format!(
            "only {count} messages were {what}, and it takes {least}: too little was exercised"
        ));
    }
    for seen in seen.iter().filter(|seen| !seen.sign.is_shown_by(seen.count)) {
        reasons.push(format!("the fault didn't show: {}: {}", seen.sign.text(), seen.count));
    }
    if let Some(lag_ms) = figures.send_lag_p99_ms.filter(|ms| *ms > SEND_LAG_MS_MAX) {
        reasons.push(format!("the generator was late before the fault: p99 of send_lag is {lag_ms:.0} ms"));
    }
    if let Some(planned) = outcome.planned.filter(|planned| audit.sent < u64::from(*planned)) {
        reasons.push(format!("only {} of {planned} planned messages were sent", audit.sent));
    }
    reasons.extend(outcome.flaws.iter().take(5).cloned());
    reasons
}
