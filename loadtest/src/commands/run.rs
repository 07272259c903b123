//! `run`: load on a schedule.

use super::{Ground, MemoryWatch, telemetry::Telling};
use crate::{
    audit::audit,
    cli::RunArgs,
    exit::Exit,
    latency::Latencies,
    plan::{Plan, Workload},
    progress::Progress,
    report::{Conclusion, Measured, RunReport, publish, write_page},
    run, validity,
};

pub(super) async fn execute(args: &RunArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let telling = Telling::start(&args.telemetry, args.target.target.is_empty(), &progress).await?;
    let ground = Ground::prepare(&args.target, telling.otlp_endpoint(), &mut progress).await?;
    let workload = Workload::from(&args.workload);
    let (measured, _) = measure(&workload, &ground, &telling, &mut progress).await?;
    drop(progress);
    let result = Conclusion::of(&measured.invalid, &measured.audit, &[]);
    let report = RunReport { result, workload, measured, decision: None, claims: Vec::new() };
    publish(&report, args.json.as_deref())?;
    write_page(&report, args.html.as_deref())?;
    Ok(result.exit())
}

/// Runs a workload, audits it and asks whether it proves anything.
pub(super) async fn measure(
    workload: &Workload,
    ground: &Ground,
    telling: &Telling,
    progress: &mut Progress,
) -> anyhow::Result<(Measured, Latencies)> {
    let mut memory = MemoryWatch::default();
    memory.look(&ground.target.watched);
    let outcome = run::run(workload, &ground.target, telling.telemetry()?, progress).await?;
    memory.look(&ground.target.watched);
    progress.step("auditing");
    let audit = audit(&outcome.evidence);
    let latencies = Latencies::of(&outcome);
    let planned = u64::from(Plan::new(workload).messages());
    let invalid = validity::reasons(Some(planned), &audit, &latencies, &outcome.flaws);
    let traces = telling.report(&outcome, &workload.layout, ground.lab.as_ref(), progress).await?;
    let pictures = telling.pictures(&outcome, &latencies);
    let measured = ground.measured(&outcome, &latencies, audit, memory.0, invalid);
    Ok((Measured { traces, pictures, ..measured }, latencies))
}
