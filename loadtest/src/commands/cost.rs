//! `cost`: what does telemetry cost?

use std::time::Duration;

use super::views::conclusion;
use crate::{
    cli::CostArgs,
    cost::{Compared, Effort, Setup, compare, measure},
    exit::Exit,
    lab::LabOptions,
    machine::Machine,
    plan::Workload,
    progress::Progress,
    report::{CostReport, publish},
};

pub(super) async fn execute(args: &CostArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let effort = Effort {
        workload: Workload {
            rate_per_s: args.rate,
            warm_up: Duration::from_secs(2),
            duration: Duration::from_secs(args.duration),
            ..Workload::default()
        },
        saturated: Duration::from_secs(args.saturated),
        lab: LabOptions::from(&args.lab),
    };
    let (mut rounds, mut invalid) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        let mut costs: Vec<_> = Setup::ALL.iter().map(|_| None).collect();
        // Each round begins with another one: whatever comes first finds a cooler machine.
        for turn in 0..Setup::ALL.len() {
            let place = (turn + round) % Setup::ALL.len();
            let setup = Setup::ALL[place];
            progress.say(&format!("round {} of {}: {}", round + 1, args.rounds, setup.as_str()));
            let cost = measure(setup, &effort, &mut progress).await?;
            invalid.extend(
                cost.invalid.iter().map(|why| format!("round {}, {}: {why}", round + 1, setup.as_str())),
            );
            costs[place] = Some(cost);
        }
        rounds.push(costs.into_iter().flatten().collect());
    }
    drop(progress);
    let compared = compare(&rounds).unwrap_or_default();
    let result = conclusion(compared.iter().all(Compared::holds), &invalid);
    let report = CostReport {
        result,
        workload: effort.workload,
        machine: Machine::describe(None),
        rounds: args.rounds,
        compared,
        invalid,
    };
    publish(&report, args.json.as_deref())?;
    Ok(result.exit())
}
