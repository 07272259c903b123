//! Whether a run proves anything.

use crate::{
    audit::Audit,
    cpu::CpuUse,
    latency::{Key, Latencies, Measure},
    run::{Connected, Outcome, Tripped},
};

/// A generator that is later than this at the 99th percentile measures itself.
pub(crate) const SEND_LAG_P99_MS_MAX: f64 = 10.0;
/// So is one whose lateness is more than this share of a limit that figures with it are judged by.
pub(crate) const SEND_LAG_SHARE_MAX: f64 = 0.1;
/// A thread that is busy for longer can't keep up when it matters.
const BUSY_SHARE_MAX: f64 = 0.9;
/// The same for what many threads and processes share.
const MACHINE_SHARE_MAX: f64 = 0.95;
/// Reasons of the same kind are told so often.
const FLAWS_SHOWN_MAX: usize = 10;

/// Why the run proves nothing, each with what to do about it; empty if it is valid. `tightest_ms` is the tightest limit
/// that a figure with the generator's own lateness in it is judged by.
pub(crate) fn of_run(
    outcome: &Outcome,
    audit: &Audit,
    latencies: &Latencies,
    tightest_ms: Option<f64>,
) -> Vec<String> {
    let lag_max = tightest_ms
        .map_or(SEND_LAG_P99_MS_MAX, |limit| (limit * SEND_LAG_SHARE_MAX).min(SEND_LAG_P99_MS_MAX));
    let mut reasons = of_clients(outcome, audit, latencies, lag_max);
    reasons.extend(unacknowledged(audit, 0));
    if outcome.tripped == Some(Tripped::Finding) && audit.is_clean() {
        reasons.push(
            "it ended early because a subscriber waited too long for a message, which came after all. Run it again \
             without --fail-fast"
                .to_owned(),
        );
    }
    reasons
}

/// The same of a run in which servers are meant to refuse messages.
pub(crate) fn of_overload(outcome: &Outcome, audit: &Audit, latencies: &Latencies) -> Vec<String> {
    let mut reasons = of_clients(outcome, audit, latencies, SEND_LAG_P99_MS_MAX);
    reasons.extend(unacknowledged(audit, audit.refused.values().sum()));
    reasons
}

fn of_clients(outcome: &Outcome, audit: &Audit, latencies: &Latencies, lag_max_ms: f64) -> Vec<String> {
    let mut reasons = unconnected(&outcome.connected);
    reasons.extend(known(outcome.planned.map(u64::from), audit, &outcome.flaws));
    reasons.extend(too_late(latencies, lag_max_ms).filter(|_| outcome.planned.is_some()));
    reasons.extend(too_busy(&outcome.cpu));
    reasons
}

/// The same of what is known without the whole outcome.
pub(crate) fn reasons(
    planned: Option<u64>,
    audit: &Audit,
    latencies: &Latencies,
    flaws: &[String],
) -> Vec<String> {
    let mut reasons = known(planned, audit, flaws);
    reasons.extend(unacknowledged(audit, 0));
    reasons.extend(too_late(latencies, SEND_LAG_P99_MS_MAX).filter(|_| planned.is_some()));
    reasons
}

/// What leaves a run valid and limits it.
pub(crate) fn notes(cpu: &CpuUse, cores: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(redis_s) = cpu.redis_busiest_s.filter(|used| *used > cpu.window_s * BUSY_SHARE_MAX) {
        let percent = redis_s / cpu.window_s * 100.0;
        notes.push(format!("Redis used {percent:.0} % of the one core that it can use: it limits this run"));
    }
    let known = [cpu.servers_s, cpu.postgres_s, cpu.broker_s, Some(cpu.generator_s)];
    let share = known.into_iter().flatten().sum::<f64>() / (cpu.window_s * cores as f64);
    if share > MACHINE_SHARE_MAX {
        let percent = share * 100.0;
        notes.push(format!(
            "the generator and what it measures used {percent:.0} % of all {cores} cores: latencies include waiting for one"
        ));
    }
    notes
}

fn unconnected(connected: &Connected) -> Vec<String> {
    let Connected { publishers, publishers_wanted, subscribers, subscribers_wanted } = *connected;
    [("publishers", publishers, publishers_wanted), ("subscribers", subscribers, subscribers_wanted)]
        .into_iter()
        .filter(|(_, there, wanted)| there < wanted)
        .map(|(who, there, wanted)| {
            format!("only {there} of {wanted} {who} connected. Look at the servers' limits and logs, or ask for fewer")
        })
        .collect()
}

fn too_busy(cpu: &CpuUse) -> Option<String> {
    let thread = cpu.generator_busiest.as_ref().filter(|thread| thread.share > BUSY_SHARE_MAX)?;
    Some(format!(
        "the generator measures itself: its thread `{}` was busy for {:.0} % of the time. Lower the rate, use fewer \
         clients, or run it on a machine of its own",
        thread.name,
        thread.share * 100.0
    ))
}

fn too_late(latencies: &Latencies, limit_ms: f64) -> Option<String> {
    let send_lag = Key { measure: Measure::SendLag, origin: None, recipient: None };
    let lag = latencies.get(send_lag)?.percentile_ms(99.0);
    (lag > limit_ms).then(|| {
        format!(
            "the generator fell behind its schedule: p99 of send_lag is {lag:.1} ms, the limit is {limit_ms} ms. \
             Lower the rate, use fewer clients, or run nothing else on the machine"
        )
    })
}

fn known(planned: Option<u64>, audit: &Audit, flaws: &[String]) -> Vec<String> {
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
    reasons
}

/// `expected` of the messages that were sent may be refused.
fn unacknowledged(audit: &Audit, expected: u64) -> Option<String> {
    let unanswered = audit.sent.saturating_sub(audit.acknowledged + expected);
    if unanswered == 0 {
        return None;
    }
    let refused: Vec<String> = audit.refused.iter().map(|(code, count)| format!("{code}: {count}")).collect();
    let (how, advice) = if refused.is_empty() {
        ("unanswered".to_owned(), "Look at the servers' logs")
    } else {
        (refused.join(", "), "Lower the rate")
    };
    Some(format!(
        "{unanswered} messages were not acknowledged ({how}), so that their latencies are missing from the figures. \
         {advice}"
    ))
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

    fn busy(share: f64) -> CpuUse {
        let none = crate::cpu::Watched::default().cpu();
        CpuUse {
            generator_busiest: Some(crate::cpu::BusyThread { name: "publishers".to_owned(), share }),
            generator_s: 0.5,
            ..none.since(&none, std::time::Duration::from_secs(1), 1)
        }
    }

    #[test]
    fn a_generator_that_is_busy_all_the_time_makes_a_run_invalid() {
        assert_eq!(too_busy(&busy(0.89)), None);
        let reason = too_busy(&busy(0.97)).unwrap();
        assert!(reason.contains("`publishers` was busy for 97 %"), "{reason}");
    }

    #[test]
    fn clients_that_are_missing_make_a_run_invalid() {
        let all = Connected { publishers: 3, publishers_wanted: 3, subscribers: 9, subscribers_wanted: 9 };
        assert_eq!(unconnected(&all), [""; 0]);
        let reasons = unconnected(&Connected { subscribers: 4, ..all });
        assert!(reasons[0].starts_with("only 4 of 9 subscribers connected"), "{reasons:?}");
    }

    #[test]
    fn a_tight_limit_takes_a_punctual_generator() {
        let lag = Key { measure: Measure::SendLag, origin: None, recipient: None };
        let latencies = Latencies::constant(lag, 3, 10);
        assert_eq!(too_late(&latencies, SEND_LAG_P99_MS_MAX), None);
        let reason = too_late(&latencies, 2.5).unwrap();
        assert!(reason.contains("is 3.0 ms, the limit is 2.5 ms"), "{reason}");
    }

    #[test]
    fn what_limits_a_run_is_noted() {
        assert_eq!(notes(&busy(0.5), 2), [""; 0]);
        let redis = CpuUse { redis_busiest_s: Some(0.95), ..busy(0.5) };
        assert!(notes(&redis, 2)[0].starts_with("Redis used 95 %"));
        let all = CpuUse { servers_s: Some(1.45), ..busy(0.5) };
        assert!(notes(&all, 2)[0].contains("98 % of all 2 cores"));
    }
}
