//! A run: connects the clients, lets them talk, waits until everything has arrived, and brings home
//! what each of them knows.

mod closed_loop;
mod crowd;
mod history;
mod observer;
mod publisher;
mod shared;
mod stage;
mod subscriber;
mod tally;
mod wire;

use std::{net::SocketAddr, ops::Range, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    audit::{Evidence, Ledger},
    clock::Clock,
    cpu::{CpuUse, Watched},
    identity::Identity,
    pacer::{JOBS_MAX, Pacer},
    plan::{Plan, Workload},
    progress::Progress,
};
pub(crate) use closed_loop::{ClosedLoop, hammer, rate};
use crowd::Crowd;
use observer::Observer;
pub(crate) use observer::{Telemetry, Traced};
pub(crate) use shared::Shared;
pub(crate) use subscriber::HopSample;
pub(crate) use tally::Tally;

/// From the last connection to the first message.
const HEAD_START: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where a run's load goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) watched: Watched,
}

/// What a run brings home.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) evidence: Evidence,
    pub(crate) samples: Vec<HopSample>,
    /// The measured window, on the run's clock.
    pub(crate) window_us: Range<u32>,
    pub(crate) cpu: CpuUse,
    /// What is known of the traces, if messages were traced.
    pub(crate) traced: Option<Traced>,
    /// Why the run proves nothing, as far as the clients can tell; empty if all went well.
    pub(crate) flaws: Vec<String>,
}

/// Runs an open workload.
pub(crate) async fn run(
    workload: &Workload,
    target: &Target,
    telemetry: Telemetry,
    progress: &mut Progress,
) -> anyhow::Result<Outcome> {
    let plan = Arc::new(Plan::new(workload));
    let layout = &workload.layout;
    let sampling = telemetry.sampling;
    let observe = |identity: &Identity, channels: &[String]| {
        Observer::new(Arc::clone(&plan), layout, identity, channels, telemetry)
    };
    let messages_of = |publisher| plan.messages_of(publisher);
    let length_max = plan.messages() as usize;
    let crowd = Crowd::connect(layout, target, messages_of, length_max, sampling, observe, progress).await?;
    let clock = Clock::starting_in(HEAD_START);
    let (mut talk, publishers) = crowd.listen(clock);
    let mut jobs = Vec::with_capacity(publishers.len());
    for publisher in publishers {
        let (sender, receiver) = mpsc::channel(JOBS_MAX);
        jobs.push(sender);
        let shared = Arc::clone(&talk.shared);
        let stop = talk.stop();
        talk.perform(async move { publisher.follow_plan(&shared, clock, receiver, stop).await });
    }
    let pacer = Pacer::start(Arc::clone(&plan), clock, jobs);

    progress.step_of("warming up (seconds)", workload.warm_up.as_secs());
    wait_until(clock, Duration::ZERO, workload.warm_up, progress).await;
    let before = target.watched.cpu();
    progress.step_of("measuring (seconds)", workload.duration.as_secs());
    let end = workload.warm_up + workload.duration;
    wait_until(clock, workload.warm_up, end, progress).await;
    let after = target.watched.cpu();
    while !pacer.is_finished() {
        sleep(LOOK_EVERY).await;
    }
    talk.drain(progress).await;
    let mut flaws = overflow(&pacer);
    let window_us = micros(workload.warm_up)..micros(end);
    let shared = Arc::clone(&talk.shared);
    let (evidence, samples) = talk.evidence(target, progress, &mut flaws).await?;
    let traced = match &shared.observer {
        Some(observer) => observer.finish(&evidence, &window_us, clock).await,
        None => None,
    };
    let deliveries = deliveries_within(&evidence, &window_us);
    let cpu = after.since(&before, workload.duration, deliveries);
    Ok(Outcome { evidence, samples, window_us, cpu, traced, flaws })
}

fn overflow(pacer: &Pacer) -> Vec<String> {
    let count = Some(pacer.overflowed()).filter(|count| *count > 0);
    let flaw = count.map(|count| {
        format!(
            "{count} messages didn't leave: their publishers had {JOBS_MAX} waiting already, or were gone"
        )
    });
    flaw.into_iter().collect()
}

async fn wait_until(clock: Clock, from: Duration, until: Duration, progress: &mut Progress) {
    let until = Instant::from_std(clock.moment(until));
    while Instant::now() < until {
        let now = Duration::from_micros(u64::from(clock.now_us()));
        progress.at(now.saturating_sub(from).as_secs());
        tokio::time::sleep_until(until.min(Instant::now() + Duration::from_millis(500))).await;
    }
}

fn deliveries_within(evidence: &Evidence, window_us: &Range<u32>) -> u64 {
    let within = |ledger: &Ledger| {
        ledger.iter().filter(|(_, received)| window_us.contains(&received.at_us)).count() as u64
    };
    evidence.ledgers.iter().map(within).sum()
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
