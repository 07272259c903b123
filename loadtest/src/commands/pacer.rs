//! `pacer`: how late is the generator itself?

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use tokio::{sync::mpsc, time::sleep};

use crate::{
    clock::Clock,
    exit::Exit,
    latency::Latencies,
    machine::Machine,
    pacer::{JOBS_MAX, Job, Pacer, PacerArgs},
    plan::{Layout, Plan, Workload},
    progress::Progress,
    report::{PacerReport, publish},
    run::Stage,
};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// As a run does it, up to the write to the socket.
pub(super) async fn execute(args: &PacerArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    progress.step("pacing");
    let duration = Duration::from_secs(args.seconds);
    let workload =
        Workload { rate_per_s: args.rate.0, warm_up: Duration::ZERO, duration, ..Workload::default() };
    let plan = Arc::new(Plan::new(&workload));
    let clock = Clock::starting_in(Duration::from_millis(200));
    let stage = Stage::start()?;
    let (mut jobs, mut publishers) = (Vec::new(), Vec::new());
    for _ in 0..Layout::default().publishers {
        let (sender, mut receiver) = mpsc::channel::<Job>(JOBS_MAX);
        jobs.push(sender);
        publishers.push(stage.handle().spawn(async move {
            let mut lags_us = Vec::new();
            while let Some(job) = receiver.recv().await {
                lags_us.push(clock.now_us().saturating_sub(job.intended_us));
            }
            lags_us
        }));
    }
    let pacer = Pacer::start(plan, clock, jobs);
    while !pacer.is_finished() {
        sleep(LOOK_EVERY).await;
    }
    let mut lags_us = Vec::new();
    for publisher in publishers {
        lags_us.extend(publisher.await?);
    }
    drop(progress);
    ensure!(pacer.overflowed() == 0, "{} messages found no room", pacer.overflowed());
    let report = PacerReport {
        rate_per_s: args.rate.0,
        seconds: args.seconds,
        machine: Machine::describe(None),
        send_lag: Latencies::send_lag(&lags_us),
    };
    publish(&report, args.json.as_deref())?;
    Ok(Exit::Pass)
}
