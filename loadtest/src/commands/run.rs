//! `run`: load on a schedule.

use super::{Ground, MemoryWatch, telemetry::Telling};
use crate::{
    audit::audit,
    cli::{FloorFlag, LoadArgs, RunArgs},
    exit::Exit,
    latency::Latencies,
    plan::Workload,
    preflight,
    progress::Progress,
    report::{Conclusion, Measured, RunReport, publish, write_page},
    require::{self, RequireArgs, Required},
    run::{self, Tripped},
    validity,
};

pub(super) async fn execute(args: &RunArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let load = Load::new(&args.load, None);
    let loaded = load.carry_out(&args.load, &mut progress).await?;
    drop(progress);
    let measured = &loaded.measured;
    let result =
        Conclusion::of(&measured.invalid, &measured.audit, &[]).with_traces(measured.traces.as_ref());
    let report = loaded.report(load.workload, result);
    publish(&report, args.json.as_deref())?;
    write_page(&report, args.load.html.as_deref())?;
    Ok(report.result.exit())
}

/// A workload and what is required of it.
pub(super) struct Load<'a> {
    pub(super) workload: Workload,
    pub(super) require: &'a RequireArgs,
    pub(super) floor: FloorFlag,
    /// The tightest limit of claims that the generator's lateness is part of.
    pub(super) claimed_ms: Option<f64>,
}

/// What became of it.
pub(super) struct Loaded {
    pub(super) measured: Measured,
    pub(super) latencies: Latencies,
    pub(super) requirements: Vec<Required>,
    tripped: Option<Tripped>,
}

/// Runs a workload of which nothing is required.
pub(super) async fn measure(
    workload: &Workload,
    ground: &Ground,
    telling: &Telling,
    progress: &mut Progress,
) -> anyhow::Result<Loaded> {
    let nothing = RequireArgs { require: Vec::new(), fail_fast: false };
    let floor = FloorFlag { floor: false };
    let load = Load { workload: workload.clone(), require: &nothing, floor, claimed_ms: None };
    load.measure(ground, telling, progress).await
}

impl<'a> Load<'a> {
    pub(super) fn new(args: &'a LoadArgs, claimed_ms: Option<f64>) -> Self {
        let workload = Workload::from(&args.workload);
        Self { workload, require: &args.require, floor: args.floor, claimed_ms }
    }

    /// Looks whether the machine can do it, gets servers, and runs it.
    pub(super) async fn carry_out(&self, args: &LoadArgs, progress: &mut Progress) -> anyhow::Result<Loaded> {
        let LoadArgs { telemetry, target, .. } = args;
        preflight::check(&self.workload.layout, target.servers())?;
        let telling = Telling::start(telemetry, target.target.is_empty(), progress).await?;
        let ground = Ground::prepare(target, telling.otlp_endpoint(), progress).await?;
        self.measure(&ground, &telling, progress).await
    }

    /// Runs the workload, audits it, asks whether it proves anything, and judges what is required.
    async fn measure(
        &self,
        ground: &Ground,
        telling: &Telling,
        progress: &mut Progress,
    ) -> anyhow::Result<Loaded> {
        let RequireArgs { require, fail_fast } = self.require;
        let floor = ground.floor(self.floor, &self.workload.layout, progress).await?;
        let mut memory = MemoryWatch::default();
        memory.look(&ground.target.watched);
        let watch =
            |plan: &_, window_us| fail_fast.then(|| require::watch(require, &self.workload, plan, window_us));
        let telemetry = telling.telemetry()?;
        let outcome = run::run_watched(&self.workload, &ground.target, telemetry, watch, progress).await?;
        memory.look(&ground.target.watched);
        progress.step("auditing");
        let audit = audit(&outcome.evidence);
        let mut latencies = Latencies::of(&outcome);
        let tightest_ms = require::tightest_ms(require).into_iter().chain(self.claimed_ms).reduce(f64::min);
        let invalid = validity::of_run(&outcome, &audit, &latencies, tightest_ms);
        let layout = &self.workload.layout;
        let traces = telling.report(&outcome, layout, ground.lab.as_deref(), progress).await?;
        latencies.add(telling.latencies(&outcome));
        let mut measured = ground.measured(&outcome, &latencies, audit, memory.0, invalid);
        measured.traces = traces;
        measured.pictures = telling.pictures(&outcome, &latencies);
        let measured = measured.above(floor, &latencies);
        let tripped = outcome.tripped;
        let judge = |requirement| Required::judge(requirement, &measured, &latencies, tripped.as_ref());
        let requirements = require.iter().map(judge).collect();
        Ok(Loaded { measured, latencies, requirements, tripped })
    }
}

impl Loaded {
    /// The report of a run without claims.
    pub(super) fn report(mut self, workload: Workload, result: Conclusion) -> RunReport {
        if self.measured.invalid.is_empty() {
            self.measured.invalid.extend(self.requirements.iter().filter_map(Required::unjudged));
        }
        RunReport {
            result: result.and(&self.requirements),
            workload,
            measured: self.measured,
            decision: None,
            claims: Vec::new(),
            requirements: self.requirements,
            ended_early: self.tripped.is_some(),
        }
    }
}
