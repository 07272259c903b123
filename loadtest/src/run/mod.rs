//! A run: connects the clients, lets them talk, waits until everything has arrived, and brings home
//! what each of them knows.

mod closed_loop;
mod crowd;
mod delivered;
mod history;
mod observer;
mod publisher;
mod sample;
mod shared;
mod stage;
mod subscriber;
mod tally;
mod watch;
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
    credentials::Credentials,
    identity::Identity,
    pacer::{JOBS_MAX, Job, Pacer},
    plan::{Layout, Plan, Workload},
    progress::Progress,
};
pub(crate) use closed_loop::{ClosedLoop, hammer, rate};
pub(crate) use crowd::Connected;
use crowd::{Crowd, Rules, Talk};
use observer::Observer;
pub(crate) use observer::{Telemetry, Traced, is_counted};
use publisher::{Published, Publisher};
pub(crate) use sample::{HopSample, Visit};
pub(crate) use shared::Shared;
pub(crate) use stage::Stage;
pub(crate) use tally::Tally;
use watch::Patience;
pub(crate) use watch::{Limit, Tripped, Watch};

/// From the last connection to the first message.
const HEAD_START: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where a run's load goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) credentials: Credentials,
    pub(crate) watched: Watched,
}

/// What a run brings home.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) evidence: Evidence,
    pub(crate) samples: Vec<HopSample>,
    /// How long it took subscribers to come back.
    pub(crate) visits: Vec<Visit>,
    /// By subscriber, its server.
    pub(crate) servers: Vec<usize>,
    pub(crate) connected: Connected,
    /// The measured window, on the run's clock.
    pub(crate) window_us: Range<u32>,
    pub(crate) cpu: CpuUse,
    /// Messages that were to be sent; none for a closed loop.
    pub(crate) planned: Option<u32>,
    /// Why it ended before its time, if so.
    pub(crate) tripped: Option<Tripped>,
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
    run_watched(workload, target, telemetry, |_, _| None, progress).await
}

/// The same, which ends as soon as it can't be passed any more. `watch` gets the plan and the measured window.
pub(crate) async fn run_watched(
    workload: &Workload,
    target: &Target,
    telemetry: Telemetry,
    watch: impl FnOnce(&Arc<Plan>, Range<u32>) -> Option<Watch>,
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
    let end = workload.warm_up + workload.duration;
    let watch = watch(&plan, micros(workload.warm_up)..micros(end));
    let rules = Rules { sampling, watch };
    let crowd = Crowd::connect(layout, target, messages_of, length_max, rules, observe, progress).await?;
    let clock = Clock::starting_in(HEAD_START);
    let (mut talk, publishers) = crowd.listen(clock, end);
    let jobs = follow_plan(&mut talk, publishers, clock);
    let pacer = Pacer::start(Arc::clone(&plan), clock, jobs);

    progress.step_of("warming up (seconds)", workload.warm_up.as_secs());
    let shared = Arc::clone(&talk.shared);
    let mut tripped = wait_until(clock, Duration::ZERO, workload.warm_up, &shared, progress).await;
    let before = target.watched.cpu();
    progress.step_of("measuring (seconds)", workload.duration.as_secs());
    if tripped.is_none() {
        tripped = wait_until(clock, workload.warm_up, end, &shared, progress).await;
    }
    let after = target.watched.cpu();
    let ended_us = clock.now_us().min(micros(end));
    if tripped.is_some() {
        progress.say("ending early: this run can't be passed any more");
        pacer.stop();
    }
    while !pacer.is_finished() {
        sleep(LOOK_EVERY).await;
    }
    talk.drain(progress).await;
    let mut flaws = overflow(&pacer);
    let window_us = micros(workload.warm_up)..ended_us.max(micros(workload.warm_up));
    let connected = talk.connected;
    let (evidence, noted) = talk.evidence(target, progress, &mut flaws).await?;
    let traced = match &shared.observer {
        Some(observer) => observer.finish(&evidence, &window_us, clock).await,
        None => None,
    };
    let deliveries = deliveries_within(&evidence, &window_us);
    let window = Duration::from_micros(u64::from(window_us.end - window_us.start).max(1));
    let planned = if tripped.is_some() { pacer.handed_over() } else { plan.messages() };
    Ok(Outcome {
        samples: noted.samples,
        visits: noted.visits,
        cpu: after.since(&before, window, deliveries),
        servers: servers(layout, target),
        planned: Some(planned),
        evidence,
        connected,
        window_us,
        traced,
        tripped,
        flaws,
    })
}

/// Starts the publishers; returns where each gets its jobs from.
fn follow_plan(
    talk: &mut Talk,
    publishers: Vec<Result<Publisher, Published>>,
    clock: Clock,
) -> Vec<mpsc::Sender<Job>> {
    let mut jobs = Vec::with_capacity(publishers.len());
    for publisher in publishers {
        let (sender, receiver) = mpsc::channel(JOBS_MAX);
        jobs.push(sender);
        let shared = Arc::clone(&talk.shared);
        let stop = talk.stop();
        talk.perform(async move {
            match publisher {
                Ok(publisher) => publisher.follow_plan(&shared, clock, receiver, stop).await,
                Err(nothing) => nothing,
            }
        });
    }
    jobs
}

/// By subscriber, its server.
fn servers(layout: &Layout, target: &Target) -> Vec<usize> {
    (0..layout.subscribers)
        .map(|subscriber| layout.subscribers_server(subscriber, target.servers.len()))
        .collect()
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

/// Returns before the time if the run can't be passed any more, and why.
async fn wait_until(
    clock: Clock,
    from: Duration,
    until: Duration,
    shared: &Shared,
    progress: &mut Progress,
) -> Option<Tripped> {
    let until = Instant::from_std(clock.moment(until));
    let mut patience = Patience::default();
    while Instant::now() < until {
        let now = Duration::from_micros(u64::from(clock.now_us()));
        progress.at(now.saturating_sub(from).as_secs());
        tokio::time::sleep_until(until.min(Instant::now() + Duration::from_millis(500))).await;
        let tripped = shared.watch.as_ref().and_then(|watch| watch.tripped(&shared.tally, &mut patience));
        if tripped.is_some() {
            return tripped;
        }
    }
    None
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
