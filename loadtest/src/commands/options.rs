//! `adr --all`: every option that the decision names, side by side.

use std::{path::Path, time::Duration};

use super::{Ground, run::measure, telemetry::Telling};
use crate::{
    budget::Budget,
    cli::{AdrArgs, LabArgs},
    drill,
    exit::Exit,
    lab::Broker,
    machine::Machine,
    options::{Cost, Outage, Round, Trial, judge},
    plan::Workload,
    procfs,
    progress::Progress,
    report::{Conclusion, OptionsReport, compare, publish, write_options},
    verdict::Verdict,
};

const WARM_UP: Duration = Duration::from_secs(5);

pub(super) async fn execute(args: &AdrArgs) -> anyhow::Result<Exit> {
    let budget = Budget::load(args.budget.as_deref())?;
    let mut progress = Progress::new();
    let duration = Duration::from_secs(args.seconds);
    let workload = Workload { warm_up: WARM_UP, duration, ..Workload::from(&args.load.workload) };
    let is_wanted = |broker: &&Broker| args.options.is_empty() || args.options.contains(broker);
    let (brokers, not_run): (Vec<Broker>, Vec<Broker>) =
        Broker::ALL.iter().filter(is_wanted).partition(|it| it.impossible().is_none());
    let mut trials: Vec<Trial> = brokers.into_iter().map(Trial::new).collect();
    for round in 0..usize::from(args.rounds) {
        // Whatever drifts hits all alike, and none is always the first one.
        for place in 0..trials.len() {
            let place = (place + round) % trials.len();
            let name = trials[place].broker.name();
            progress.say(&format!("round {} of {}: {name}", round + 1, args.rounds));
            let measured = one_round(trials[place].broker, &workload, args, &mut progress).await?;
            trials[place].add(measured);
        }
    }
    for trial in &mut trials {
        progress.say(&format!("outage: {}", trial.broker.name()));
        trial.outage = Some(outage(trial.broker, args, &mut progress).await?);
    }
    drop(progress);
    let claims = judge(&budget, &trials);
    let report = OptionsReport {
        result: conclusion(&trials, claims.iter().any(|claim| claim.verdict == Verdict::DoesNotHold)),
        decision: budget.decision,
        machine: Machine::describe(None),
        workload,
        rounds: args.rounds,
        comparison: compare(&budget.comparison, &claims, &trials),
        trials,
        not_run: not_run
            .into_iter()
            .filter_map(|it| Some(format!("{}: {}", it.name(), it.impossible()?)))
            .collect(),
        claims,
    };
    publish(&report, Some(args.json.as_deref().unwrap_or(Path::new("results/options.json"))))?;
    write_options(&report, args.load.html.as_deref())?;
    let result = if args.exit_zero { conclusion(&report.trials, false) } else { report.result };
    Ok(result.exit())
}

fn lab_args(broker: Broker, args: &AdrArgs) -> LabArgs {
    // An outage kills services, which must not be anybody else's.
    LabArgs {
        broker,
        servers: broker.usual_servers(),
        database_url: None,
        redis_url: None,
        ..args.load.target.lab.clone()
    }
}

/// A load on a lab of its own.
async fn one_round(
    broker: Broker,
    workload: &Workload,
    args: &AdrArgs,
    progress: &mut Progress,
) -> anyhow::Result<Round> {
    let warm_up = workload.warm_up.max(broker.warm_up());
    let workload = Workload { warm_up, ..workload.clone() };
    let ground = Ground::on_lab(&lab_args(broker, args), None, progress).await?;
    let loaded = measure(&workload, &ground, &Telling::nothing(), progress).await?;
    let (latencies, measured) = (loaded.latencies, loaded.measured);
    let messages = measured.throughput.acknowledged_per_s * measured.cpu.window_s;
    let pids = ground.lab.iter().flat_map(|lab| lab.broker_pids());
    let broker_bytes = pids.filter_map(procfs::resident_bytes).sum();
    let servers_bytes = measured.memory_bytes.values().map(|memory| memory.end).sum();
    Ok(Round {
        cost: Cost::of(&measured.cpu, messages, servers_bytes, broker_bytes),
        latencies,
        invalid: measured.invalid,
        audit: measured.audit,
    })
}

async fn outage(broker: Broker, args: &AdrArgs, progress: &mut Progress) -> anyhow::Result<Outage> {
    let binary = args.load.target.lab.server_binary.clone();
    let drilled = drill::outage(broker, binary, progress).await?;
    let invalid = drill::reasons(&drilled, true);
    Ok(Outage { figures: drilled.figures, audit: drilled.audit, invalid })
}

fn conclusion(trials: &[Trial], a_claim_fails: bool) -> Conclusion {
    let is_clean = |trial: &Trial| {
        trial.audit.is_clean() && trial.outage.as_ref().is_none_or(|outage| outage.audit.is_clean())
    };
    let is_valid = |trial: &Trial| {
        trial.is_valid() && trial.outage.as_ref().is_none_or(|outage| outage.invalid.is_empty())
    };
    if a_claim_fails || !trials.iter().all(is_clean) {
        Conclusion::Fail
    } else if !trials.is_empty() && trials.iter().all(is_valid) {
        Conclusion::Pass
    } else {
        Conclusion::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_option_nothing_is_proved() {
        assert_eq!(conclusion(&[], false), Conclusion::Invalid);
    }
}
