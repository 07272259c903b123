//! A run: connects the clients, lets them talk, waits until everything has arrived, and brings home
//! what each of them knows.

mod closed_loop;
mod comeback;
mod crowd;
mod delivered;
mod guide;
mod history;
mod live;
mod observer;
mod publisher;
mod retries;
mod sample;
mod shared;
mod stage;
mod subscriber;
mod survival;
mod tally;
mod watch;
pub(crate) mod wire;

use std::{net::SocketAddr, ops::Range, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    audit::{Evidence, Ledger},
    clock::Clock,
    cpu::{CpuTimes, CpuUse, Watched},
    credentials::Credentials,
    identity::Identity,
    lab::{Lab, Server},
    pacer::{JOBS_MAX, Job, Pacer},
    plan::{Layout, Plan, Workload},
    progress::Progress,
};
pub(crate) use closed_loop::{ClosedLoop, hammer, rate};
pub(crate) use crowd::Connected;
use crowd::{Crowd, Rules, Talk};
use live::Viewer;
use observer::Observer;
pub(crate) use observer::{Telemetry, Traced, is_counted};
use publisher::{Published, Publisher};
pub(crate) use sample::{HopSample, Upstream, Visit};
pub(crate) use shared::Shared;
pub(crate) use stage::Stage;
pub(crate) use survival::{How, Order, Survival, Trouble};
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

impl Target {
    /// All servers of a lab.
    pub(crate) fn on(lab: &Lab) -> Self {
        Self::some(lab, &lab.servers())
    }

    /// Some of a lab's servers.
    pub(crate) fn some(lab: &Lab, servers: &[Arc<Server>]) -> Self {
        Self {
            servers: servers.iter().map(|server| server.public_addr()).collect(),
            credentials: lab.credentials(),
            watched: Watched::on(lab, servers),
        }
    }
}

/// What a run brings home.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) evidence: Evidence,
    pub(crate) samples: Vec<HopSample>,
    /// How long it took subscribers to come back.
    pub(crate) visits: Vec<Visit>,
    /// What the clients outlasted.
    pub(crate) trouble: Trouble,
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

/// The same without telemetry, for who does something beside it: `begun` gets the run's clock and the names of its channels,
/// when all clients are connected.
pub(crate) async fn run_beside(
    workload: &Workload,
    target: &Target,
    begun: impl FnOnce(Clock, &[String]),
    progress: &mut Progress,
) -> anyhow::Result<Outcome> {
    let plan = Arc::new(Plan::new(workload));
    follow(workload, &plan, target, Rules::default(), Telemetry::default(), begun, progress).await
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
    let window_us = micros(workload.warm_up)..micros(workload.warm_up + workload.duration);
    let rules = Rules { sampling: telemetry.sampling, watch: watch(&plan, window_us), survival: None };
    follow(workload, &plan, target, rules, telemetry, |_, _| {}, progress).await
}

/// Runs an open workload whose clients outlast the loss of their connection, and refusals for the time being.
pub(crate) async fn run_surviving(
    workload: &Workload,
    target: &Target,
    survival: Arc<Survival>,
    progress: &mut Progress,
) -> anyhow::Result<Outcome> {
    let plan = Arc::new(Plan::new(workload));
    let rules = Rules { survival: Some(survival), ..Rules::default() };
    follow(workload, &plan, target, rules, Telemetry::default(), |_, _| {}, progress).await
}

async fn follow(
    workload: &Workload,
    plan: &Arc<Plan>,
    target: &Target,
    rules: Rules,
    telemetry: Telemetry,
    begun: impl FnOnce(Clock, &[String]),
    progress: &mut Progress,
) -> anyhow::Result<Outcome> {
    let layout = &workload.layout;
    let observe = |identity: &Identity, channels: &[String]| {
        Some(Observer::new(Arc::clone(plan), layout, identity, channels, telemetry))
    };
    let messages_of = |publisher| plan.messages_of(publisher);
    let length_max = plan.messages() as usize;
    let end = workload.warm_up + workload.duration;
    let crowd = Crowd::connect(layout, target, messages_of, length_max, rules, observe, progress).await?;
    let clock = Clock::starting_in(HEAD_START);
    begun(clock, crowd.channels());
    let (mut talk, publishers) = crowd.listen(clock, end);
    let jobs = follow_plan(&mut talk, publishers, clock);
    let pacer = Pacer::start(Arc::clone(plan), clock, jobs);

    let shared = Arc::clone(&talk.shared);
    let Passed { tripped, before, after } = pass(workload, target, &shared, clock, progress).await;
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
    let window = Duration::from_micros(u64::from(window_us.end - window_us.start).max(1));
    let planned = if tripped.is_some() { pacer.handed_over() } else { plan.messages() };
    Ok(Outcome {
        samples: noted.samples,
        visits: noted.visits,
        trouble: noted.trouble,
        cpu: after.since(&before, window, deliveries_within(&evidence, &window_us)),
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

/// The time of a run, when it is over.
struct Passed {
    /// Why it was over early, if so.
    tripped: Option<Tripped>,
    /// The processor time when the measured window began and when it ended.
    before: CpuTimes,
    after: CpuTimes,
}

/// Returns when the measured window is over.
async fn pass(
    workload: &Workload,
    target: &Target,
    shared: &Shared,
    clock: Clock,
    progress: &mut Progress,
) -> Passed {
    let (warm_up, end) = (workload.warm_up, workload.warm_up + workload.duration);
    let mut viewer = Viewer::new();
    progress.step_of("warming up (seconds)", warm_up.as_secs());
    let mut tripped = wait_until(clock, Duration::ZERO, warm_up, shared, &mut viewer, progress).await;
    let before = target.watched.cpu();
    progress.step_of("measuring (seconds)", workload.duration.as_secs());
    if tripped.is_none() {
        tripped = wait_until(clock, warm_up, end, shared, &mut viewer, progress).await;
    }
    Passed { tripped, before, after: target.watched.cpu() }
}

/// Returns before the time if the run can't be passed any more, and why.
async fn wait_until(
    clock: Clock,
    from: Duration,
    until: Duration,
    shared: &Shared,
    viewer: &mut Viewer,
    progress: &mut Progress,
) -> Option<Tripped> {
    let until = Instant::from_std(clock.moment(until));
    let mut patience = Patience::default();
    while Instant::now() < until {
        let now = Duration::from_micros(u64::from(clock.now_us()));
        let position = now.saturating_sub(from).as_secs();
        if let Some(observer) = &shared.observer {
            progress.tell(position, || viewer.look(&observer.live, &shared.tally));
        }
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
