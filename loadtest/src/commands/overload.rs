//! `overload`: far more load than the servers can take, and the way back.

use std::time::Duration;

use anyhow::ensure;
use hopline::hop::Hop;
use serde_json::json;
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{Ground, MemoryWatch};
use crate::{
    audit::audit,
    cli::OverloadArgs,
    clock::Clock,
    cpu::Watched,
    exit::Exit,
    lab::{Lab, LabOptions},
    latency::Latencies,
    machine::Machine,
    overload::{Fate, Limits, Phases, Recovery},
    plan::Workload,
    preflight,
    progress::Progress,
    report::{Conclusion, OverloadReport, publish},
    run::{self, Outcome},
    validity,
};

const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn execute(args: &OverloadArgs) -> anyhow::Result<Exit> {
    let workload = Workload::from(args);
    let delay_ms = delay_ms(args)?;
    preflight::check(&workload.layout, usize::from(args.lab.servers))?;
    let mut progress = Progress::new();
    progress.step("starting the lab");
    let server_args = [&["--fault-switches".to_owned()], &args.server_arg[..]].concat();
    let lab = Lab::start(LabOptions { server_args, ..LabOptions::from(&args.lab) }).await?;
    let ground = Ground::of(lab);
    let (outcome, memory) = load(args, &workload, delay_ms, &ground, &mut progress).await?;
    progress.step("auditing");
    let report = report(args, workload, &outcome, memory, Machine::describe(ground.lab.as_deref()));
    drop(progress);
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

/// Runs the workload, cuts the capacity meanwhile, and follows the servers' memory.
async fn load(
    args: &OverloadArgs,
    workload: &Workload,
    delay_ms: u32,
    ground: &Ground,
    progress: &mut Progress,
) -> anyhow::Result<(Outcome, MemoryWatch)> {
    let mut memory = MemoryWatch::default();
    let (told, clock) = oneshot::channel();
    let begun = |clock, _: &[String]| {
        let _ = told.send(clock);
    };
    let phases = Phases::from(args);
    let run = run::run_beside(workload, &ground.target, begun, progress);
    let both = async { tokio::try_join!(run, switch(ground, clock, &phases, delay_ms)) };
    let (outcome, ()) = tokio::select! {
        done = both => done?,
        () = watch(&mut memory, &ground.target.watched) => unreachable!("it looks for ever"),
    };
    Ok((outcome, memory))
}

fn report(
    args: &OverloadArgs,
    workload: Workload,
    outcome: &Outcome,
    memory: MemoryWatch,
    machine: Machine,
) -> OverloadReport {
    let (audit, phases) = (audit(&outcome.evidence), Phases::from(args));
    let [before, during, after] =
        [&phases.before, &phases.during, &phases.after].map(|phase| Fate::of(phase, outcome));
    let recovery = Recovery::of(&phases, outcome);
    let limits = Limits {
        p99_ms: args.p99_ms,
        memory_bytes: args.memory_mib << 20,
        normal_within_s: args.normal_within,
        capacity_per_s: f64::from(args.capacity),
    };
    let mut invalid = validity::of_overload(outcome, &audit, &Latencies::of(outcome));
    invalid.extend(limits.not_exercised(&during));
    let memory_max = memory.0.values().map(|memory| memory.max).max().unwrap_or_default();
    let exceeded = limits.exceeded(&during, memory_max, &recovery);
    OverloadReport {
        result: conclusion(Conclusion::of(&invalid, &audit, &[]), &exceeded),
        workload,
        machine,
        limits,
        before,
        during,
        after,
        recovery,
        memory_bytes: memory.0,
        cpu: outcome.cpu.clone(),
        audit,
        exceeded,
        invalid,
    }
}

/// What the audit found stands; an invalid run proves nothing else.
fn conclusion(measured: Conclusion, exceeded: &[String]) -> Conclusion {
    if measured == Conclusion::Pass && !exceeded.is_empty() { Conclusion::Fail } else { measured }
}

/// How long each server must hold each message, so that all of them have the capacity together.
fn delay_ms(args: &OverloadArgs) -> anyhow::Result<u32> {
    let servers_ms = u32::from(args.lab.servers) * 1_000;
    ensure!(
        servers_ms.is_multiple_of(args.capacity),
        "{} servers can't have a capacity of {}/s: each would hold a message for {:.2} ms, and it must be whole ones",
        args.lab.servers,
        args.capacity,
        f64::from(servers_ms) / f64::from(args.capacity)
    );
    ensure!(args.quiet_rate < f64::from(args.capacity), "--quiet-rate must be below --capacity");
    ensure!(args.rate > f64::from(args.capacity), "--rate must be above --capacity");
    Ok(servers_ms / args.capacity)
}

/// Cuts the capacity for the time of the overload. Does nothing if the run doesn't begin.
async fn switch(
    ground: &Ground,
    clock: oneshot::Receiver<Clock>,
    phases: &Phases,
    delay_ms: u32,
) -> anyhow::Result<()> {
    let Ok(clock) = clock.await else { return Ok(()) };
    let slow = json!({ "delays": { Hop::Persist.as_str(): { "delay_ms": delay_ms, "serial": true } } });
    for (at_us, switches) in [(phases.during.us.start, slow), (phases.during.us.end, json!({}))] {
        sleep_until(Instant::from_std(clock.moment(Duration::from_micros(at_us.into())))).await;
        for server in ground.lab.iter().flat_map(|lab| lab.servers()) {
            server.switch_faults(&switches).await?;
        }
    }
    Ok(())
}

/// Follows the servers' memory, for ever.
async fn watch(memory: &mut MemoryWatch, watched: &Watched) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        memory.look(watched);
    }
}
