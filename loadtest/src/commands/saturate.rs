//! `saturate`: how many durable messages a second?

use std::time::Duration;

use super::{Ground, MemoryWatch};
use crate::{
    audit::audit,
    cli::SaturateArgs,
    exit::Exit,
    latency::Latencies,
    plan::Layout,
    preflight,
    progress::Progress,
    report::{Conclusion, SaturateReport, publish},
    run::{self, ClosedLoop, Outcome, Tally},
    validity,
};

pub(super) async fn execute(args: &SaturateArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let layout = Layout::from(args);
    preflight::check(&layout, args.target.servers())?;
    let ground = Ground::prepare(&args.target, None, &mut progress).await?;
    let outstanding = usize::from(args.outstanding);
    let mut memory = MemoryWatch::default();
    let duration = Duration::from_secs(args.seconds);
    let closed_loop = ClosedLoop { layout: &layout, outstanding, duration, sampling: None };
    let look = |_: &Tally| memory.look(&ground.target.watched);
    let outcome = run::hammer(&closed_loop, &ground.target, &mut progress, look).await?;
    progress.step("auditing");
    let audit = audit(&outcome.evidence);
    let latencies = Latencies::of(&outcome);
    let invalid = validity::of_run(&outcome, &audit, &latencies, None);
    let per_second = per_second(&outcome, args.seconds);
    let mut settled = per_second[1..].to_vec();
    settled.sort_unstable();
    let measured = ground.measured(&outcome, &latencies, audit, memory.0, invalid);
    drop(progress);
    let mut result = Conclusion::of(&measured.invalid, &measured.audit, &[]);
    if args.at_least.is_some_and(|rate| measured.throughput.acknowledged_per_s < rate) {
        result = Conclusion::Fail;
    }
    let report = SaturateReport {
        result,
        layout,
        outstanding,
        seconds: args.seconds,
        per_second_min: settled.first().copied().unwrap_or_default(),
        per_second_median: settled.get(settled.len() / 2).copied().unwrap_or_default(),
        per_second,
        at_least_per_s: args.at_least,
        measured,
    };
    publish(&report, args.json.as_deref())?;
    Ok(result.exit())
}

/// Messages acknowledged in each whole second.
fn per_second(outcome: &Outcome, seconds: u64) -> Vec<u64> {
    let mut counts = vec![0; usize::try_from(seconds).unwrap_or_default()];
    for (_, record) in outcome.evidence.records.iter() {
        let second = (record.answered_us / 1_000_000) as usize;
        if let Some(count) = counts.get_mut(second).filter(|_| record.is_acknowledged()) {
            *count += 1;
        }
    }
    counts
}
