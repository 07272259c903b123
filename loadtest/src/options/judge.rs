//! Which of the decision's claims hold, of each option.

use super::{Trial, trial::key};
use crate::{
    budget::{AuditLimit, Budget, Claim, OptionLimit, OutageLimit},
    lab::Broker,
    latency::samples_min,
    verdict::{Judged, Verdict, judge_audit, judge_one},
};

/// Judges every claim by what was measured of the option that it is about. What says nothing of an option is about the
/// decision: `redis`.
pub(crate) fn judge(budget: &Budget, trials: &[Trial]) -> Vec<Judged> {
    budget.claims.iter().map(|claim| judge_claim(claim, trials)).collect()
}

fn judge_claim(claim: &Claim, trials: &[Trial]) -> Judged {
    let open = Judged::open(claim);
    let of = |broker: Broker| trials.iter().find(|trial| trial.broker == broker);
    let not_run = |broker: Broker| open.clone().because(format!("{} was not run", broker.name()));
    match (&claim.option, &claim.outage) {
        (Some(limit), _) => {
            of(limit.broker).map_or_else(|| not_run(limit.broker), |trial| judge_option(limit, trial, &open))
        }
        (None, Some(limit)) => {
            of(limit.broker).map_or_else(|| not_run(limit.broker), |trial| judge_outage(limit, trial, &open))
        }
        (None, None) => of(Broker::Redis).map_or_else(
            || not_run(Broker::Redis),
            |trial| judge_one(claim, &trial.latencies, &trial.audit, trial.is_valid()),
        ),
    }
}

fn judge_option(limit: &OptionLimit, trial: &Trial, open: &Judged) -> Judged {
    let series = trial.latencies.get(key(limit.hop));
    let Some(series) = series.filter(|series| series.count() >= samples_min(limit.percentile)) else {
        return open.clone().because("too little of it was measured".to_owned());
    };
    let measured = series.percentile_ms(limit.percentile);
    let judged = Judged { measured: Some(measured), distribution: Some(series.summary()), ..open.clone() };
    if !trial.is_valid() {
        return judged.because("a round is invalid".to_owned());
    }
    let is_within =
        limit.from_ms.is_none_or(|from| measured >= from) && limit.to_ms.is_none_or(|to| measured < to);
    let verdict = if is_within { Verdict::Holds } else { Verdict::DoesNotHold };
    Judged { verdict, why: None, ..judged }
}

fn judge_outage(limit: &OutageLimit, trial: &Trial, open: &Judged) -> Judged {
    let Some(outage) = &trial.outage else {
        return open.clone().because("its outage was not carried out".to_owned());
    };
    let limit = AuditLimit { findings: limit.findings.clone(), max: limit.max };
    let open = Judged { why: None, ..open.clone() };
    judge_audit(&limit, &outage.audit, outage.invalid.is_empty(), &open)
}

#[cfg(test)]
mod tests {
    use hopline::hop::Hop;

    use super::*;
    use crate::{audit::Audit, drill::Figures, latency::Latencies, options::Outage};

    const OPTION: &str =
        "option = { broker = \"kafka\", hop = \"total\", percentile = 50.0, from_ms = 10.0, to_ms = 50.0 }";
    const OUTAGE: &str = "outage = { broker = \"kafka\", findings = [\"lost\"], max = 0 }";
    const DECISION: &str = "latency = { hop = \"total\", percentile = 50.0, limit_ms = 500.0 }";

    fn judged(claim: &str, trial: Trial) -> Judged {
        let not_measured = if claim == DECISION { "" } else { "not_measured = \"n\"\n" };
        let head = "version = 1\ndecision = \"d\"\n[[claim]]\nid = \"x\"\nsentence = \"s\"\n";
        let budget = Budget::parse(&format!("{head}{not_measured}{claim}")).unwrap();
        judge(&budget, &[trial]).remove(0)
    }

    fn trial(broker: Broker, total_ms: u32) -> Trial {
        Trial { latencies: Latencies::constant(key(Hop::Total), total_ms, 100), ..Trial::new(broker) }
    }

    #[test]
    fn a_claim_about_an_option_is_judged_by_that_option_on_both_ends() {
        let verdict = |broker, ms| judged(OPTION, trial(broker, ms)).verdict;
        assert_eq!(verdict(Broker::Kafka, 20), Verdict::Holds);
        assert_eq!(verdict(Broker::Kafka, 5), Verdict::DoesNotHold);
        assert_eq!(verdict(Broker::Kafka, 60), Verdict::DoesNotHold);
        assert_eq!(verdict(Broker::Redis, 20), Verdict::NotMeasured);
        let invalid = Trial { invalid: vec!["late".to_owned()], ..trial(Broker::Kafka, 20) };
        assert_eq!(judged(OPTION, invalid).verdict, Verdict::NotMeasured);
        let few =
            Trial { latencies: Latencies::constant(key(Hop::Total), 20, 19), ..Trial::new(Broker::Kafka) };
        assert_eq!(judged(OPTION, few).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn a_claim_about_an_outage_is_judged_by_what_its_audit_found() {
        let with = |lost: u64| {
            let audit = Audit { findings: [("lost", lost)].into(), ..Audit::default() };
            let outage = Outage { figures: Figures::default(), audit, invalid: Vec::new() };
            judged(OUTAGE, Trial { outage: Some(outage), ..trial(Broker::Kafka, 20) }).verdict
        };
        assert_eq!((with(0), with(1)), (Verdict::Holds, Verdict::DoesNotHold));
        assert_eq!(judged(OUTAGE, trial(Broker::Kafka, 20)).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn what_names_no_option_is_about_the_decision() {
        assert_eq!(judged(DECISION, trial(Broker::Redis, 20)).verdict, Verdict::Holds);
        assert_eq!(judged(DECISION, trial(Broker::Redis, 600)).verdict, Verdict::DoesNotHold);
        assert_eq!(judged(DECISION, trial(Broker::Kafka, 20)).verdict, Verdict::NotMeasured);
    }
}
