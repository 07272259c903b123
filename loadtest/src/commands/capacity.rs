//! `capacity`: the highest rate that keeps the budget.

use super::Ground;
use crate::{
    capacity::{Bench, CapacityArgs, Search, Stage, Step, limits},
    exit::Exit,
    machine::Machine,
    plan::Layout,
    progress::Progress,
    report::{CapacityReport, Conclusion, publish},
};

/// So many times as long as others is the confirming stage.
const CONFIRMING: u64 = 3;
/// So often a rate is tried that doesn't hold: others may have been at work on the machine. What is found is confirmed.
const TRIES: usize = 2;

pub(super) async fn execute(args: &CapacityArgs) -> anyhow::Result<Exit> {
    let limits = limits(args)?;
    let mut progress = Progress::new();
    let ground = Ground::prepare(&args.target, None, &mut progress).await?;
    let layout = Layout::from(&args.layout);
    let admin = match &ground.lab {
        Some(lab) => lab.servers().iter().map(|server| server.admin_addr()).collect(),
        None => args.admin.clone(),
    };
    let bench = Bench { layout: &layout, target: &ground.target, admin: &admin, limits: &limits };
    let mut search = Search::new(args.from, args.to, args.precision);
    let mut stages: Vec<Stage> = Vec::new();
    let found = loop {
        let step = search.next();
        let (rate, seconds) = match step {
            Step::Try(rate) => (rate, args.stage),
            Step::Confirm(rate) => (rate, args.stage * CONFIRMING),
            Step::Done(found) => break found,
        };
        let confirming = matches!(step, Step::Confirm(_));
        let mut holds = false;
        for _ in 0..TRIES {
            let stage = Stage::run(&bench, rate, seconds, confirming, &mut progress).await?;
            holds = stage.holds();
            progress.say(&format!("{rate:.0} messages/s for {seconds} s: {}", stage.verdict()));
            stages.push(stage);
            if holds {
                break;
            }
        }
        search.tell(step, holds);
    };
    drop(progress);
    let report = CapacityReport {
        result: conclusion(found, args.at_least),
        capacity_per_s: found,
        first_out: first_out(&stages, found),
        at_least_per_s: args.at_least,
        target: ground.name(),
        machine: Machine::describe(ground.lab.as_deref()),
        layout,
        limits,
        stages,
    };
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

/// A search that found nothing proves nothing.
fn conclusion(found: Option<f64>, at_least: Option<f64>) -> Conclusion {
    match (found, at_least) {
        (None, _) => Conclusion::Invalid,
        (Some(found), Some(at_least)) if found < at_least => Conclusion::Fail,
        (Some(_), _) => Conclusion::Pass,
    }
}

/// What ran out at the lowest rate above the one that was found.
fn first_out(stages: &[Stage], found: Option<f64>) -> Option<String> {
    let above = |stage: &&Stage| !stage.holds() && found.is_none_or(|found| stage.rate_per_s > found);
    let failed = stages.iter().filter(above);
    failed.min_by(|one, other| one.rate_per_s.total_cmp(&other.rate_per_s))?.first_out.clone()
}
