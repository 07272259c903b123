//! A run: connects the clients, lets them talk, waits until everything has arrived, and brings home
//! what each of them knows.

mod history;
mod publisher;
mod subscriber;
mod tally;
mod wire;

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures_util::{
    StreamExt, TryStreamExt,
    future::join_all,
    stream::{self, BoxStream},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, interval, sleep},
};

use crate::{
    audit::{Evidence, Ledger, Records},
    clock::Clock,
    cpu::{CpuUse, Watched},
    identity::Identity,
    pacer::{JOBS_MAX, Pacer},
    plan::{Layout, Plan, Workload},
    progress::Progress,
};
use publisher::{Published, Publisher};
pub(crate) use subscriber::HopSample;
use subscriber::{Delivered, Subscriber};
pub(crate) use tally::Tally;

/// Connections that are made at the same time.
const CONNECTING_MAX: usize = 64;
/// From the last connection to the first message.
const HEAD_START: Duration = Duration::from_millis(200);
/// The drain ends when nothing has arrived for so long.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Messages in one channel that a closed loop may reach; limits what a nonsensical sequence number costs.
const CLOSED_LOOP_LENGTH_MAX: usize = 50_000_000;

/// Where a run's load goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) watched: Watched,
}

/// What all tasks of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) channels: Vec<String>,
    pub(crate) tally: Tally,
}

/// What a run brings home.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) evidence: Evidence,
    pub(crate) samples: Vec<HopSample>,
    /// The measured window, on the run's clock.
    pub(crate) window_us: std::ops::Range<u32>,
    pub(crate) cpu: CpuUse,
    /// Why the run proves nothing, as far as the clients can tell; empty if all went well.
    pub(crate) flaws: Vec<String>,
}

/// Clients that are connected and don't talk yet.
#[derive(Debug)]
struct Crowd {
    shared: Arc<Shared>,
    subscribers: Vec<Subscriber>,
    publishers: Vec<Publisher>,
}

/// Clients that talk.
struct Talk {
    shared: Arc<Shared>,
    subscribers: Vec<JoinHandle<Delivered>>,
    publishers: Vec<JoinHandle<Published>>,
    /// Dropping these stops the tasks.
    stops: Vec<oneshot::Sender<()>>,
}

/// Runs an open workload.
pub(crate) async fn run(
    workload: &Workload,
    target: &Target,
    progress: &mut Progress,
) -> anyhow::Result<Outcome> {
    let plan = Arc::new(Plan::new(workload));
    let messages_of = |publisher| plan.messages_of(publisher);
    let length_max = plan.messages() as usize;
    let crowd = Crowd::connect(&workload.layout, target, messages_of, length_max, progress).await?;
    let clock = Clock::starting_in(HEAD_START);
    let (mut talk, publishers) = crowd.listen(clock);
    let mut jobs = Vec::with_capacity(publishers.len());
    for publisher in publishers {
        let (sender, receiver) = mpsc::channel(JOBS_MAX);
        jobs.push(sender);
        let shared = Arc::clone(&talk.shared);
        let stop = talk.stop();
        talk.publishers.push(tokio::spawn(async move {
            publisher.follow_plan(&shared, clock, receiver, stop).await
        }));
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
    let mut flaws = Vec::new();
    if pacer.overflowed() > 0 {
        flaws.push(format!(
            "{} messages didn't leave: their publishers had {JOBS_MAX} waiting already, or were gone",
            pacer.overflowed()
        ));
    }
    let window_us = micros(workload.warm_up)..micros(end);
    let (evidence, samples) = talk.evidence(target, progress, &mut flaws).await?;
    let deliveries = deliveries_within(&evidence, &window_us);
    let cpu = after.since(&before, workload.duration, deliveries);
    Ok(Outcome {
        evidence,
        samples,
        window_us,
        cpu,
        flaws,
    })
}

/// Lets publishers talk as fast as answers come, each with so many messages unanswered. `watch` is called
/// every second with the tally, while they do and once more when everything has arrived.
pub(crate) async fn hammer(
    layout: &Layout,
    outstanding: usize,
    duration: Duration,
    target: &Target,
    progress: &mut Progress,
    mut watch: impl FnMut(&Tally),
) -> anyhow::Result<Outcome> {
    let crowd = Crowd::connect(layout, target, |_| 0, CLOSED_LOOP_LENGTH_MAX, progress).await?;
    let clock = Clock::starting_in(HEAD_START);
    let (mut talk, publishers) = crowd.listen(clock);
    sleep(HEAD_START).await;
    let until_us = micros(duration);
    let before = target.watched.cpu();
    for (number, publisher) in publishers.into_iter().enumerate() {
        let shared = Arc::clone(&talk.shared);
        let stop = talk.stop();
        let mut random = StdRng::seed_from_u64(layout.seed.wrapping_add(number as u64));
        let last = u16::try_from(layout.channels - 1).context("too many channels")?;
        talk.publishers.push(tokio::spawn(async move {
            let channels = move || random.random_range(0..=last);
            publisher
                .hammer(&shared, clock, outstanding, until_us, channels, stop)
                .await
        }));
    }
    progress.step_of(
        "publishing as fast as answers come (seconds)",
        duration.as_secs(),
    );
    let mut seconds = interval(Duration::from_secs(1));
    while clock.now_us() < until_us {
        seconds.tick().await;
        watch(&talk.shared.tally);
        progress.at(u64::from(clock.now_us() / 1_000_000));
    }
    let after = target.watched.cpu();
    talk.drain(progress).await;
    let mut flaws = Vec::new();
    watch(&talk.shared.tally);
    let (evidence, samples) = talk.evidence(target, progress, &mut flaws).await?;
    let deliveries = deliveries_within(&evidence, &(0..until_us));
    let cpu = after.since(&before, duration, deliveries);
    Ok(Outcome {
        evidence,
        samples,
        window_us: 0..until_us,
        cpu,
        flaws,
    })
}

impl Crowd {
    async fn connect(
        layout: &Layout,
        target: &Target,
        messages_of: impl Fn(usize) -> usize + Sync,
        length_max: usize,
        progress: &mut Progress,
    ) -> anyhow::Result<Self> {
        let identity = Identity::new(layout.body_bytes);
        let channels: Vec<String> = (0..layout.channels).map(|n| identity.channel(n)).collect();
        let listens_to = (0..layout.subscribers).map(|n| layout.subscribers_channel(n));
        let tally = Tally::new(layout.channels, listens_to);
        let shared = Arc::new(Shared {
            identity,
            channels,
            tally,
        });

        progress.step_of("connecting subscribers", layout.subscribers as u64);
        let mut noted = HashSet::new();
        let subscribers = stream::iter(0..layout.subscribers).map(|number| {
            let server = layout.subscribers_server(number, target.servers.len());
            let channel = layout.subscribers_channel(number);
            let notes_timing = noted.insert((server, channel));
            let (addr, shared) = (target.servers[server], Arc::clone(&shared));
            async move {
                let name = &shared.channels[channel];
                let ledger = |last| Ledger::new(number, channel, last, length_max);
                Subscriber::connect(addr, name, notes_timing, ledger).await
            }
        });
        let subscribers = in_step(subscribers.buffered(CONNECTING_MAX).boxed(), progress).await?;

        progress.step_of("connecting publishers", layout.publishers as u64);
        let publishers = stream::iter(0..layout.publishers).map(|number| {
            let server = Layout::publishers_server(number, target.servers.len());
            let messages = messages_of(number);
            Publisher::connect(target.servers[server], number, layout.publishers, messages)
        });
        let publishers = in_step(publishers.buffered(CONNECTING_MAX).boxed(), progress).await?;
        Ok(Self {
            shared,
            subscribers,
            publishers,
        })
    }

    /// Starts the subscribers; the publishers are still to be started.
    fn listen(self, clock: Clock) -> (Talk, Vec<Publisher>) {
        let mut talk = Talk {
            shared: self.shared,
            subscribers: Vec::new(),
            publishers: Vec::new(),
            stops: Vec::new(),
        };
        for subscriber in self.subscribers {
            let shared = Arc::clone(&talk.shared);
            let stop = talk.stop();
            talk.subscribers.push(tokio::spawn(async move {
                subscriber.listen(&shared, clock, stop).await
            }));
        }
        (talk, self.publishers)
    }
}

impl Talk {
    fn stop(&mut self) -> oneshot::Receiver<()> {
        let (stop, stopped) = oneshot::channel();
        self.stops.push(stop);
        stopped
    }

    /// Waits until every message has been answered and delivered, or nothing more comes.
    async fn drain(&self, progress: &mut Progress) {
        progress.step("waiting for the last deliveries");
        let tally = &self.shared.tally;
        let (mut reached, mut since) = (tally.progress(), Instant::now());
        while !tally.is_drained() {
            sleep(LOOK_EVERY).await;
            let now = tally.progress();
            if now != reached {
                (reached, since) = (now, Instant::now());
            } else if since.elapsed() > DRAIN_LIMIT {
                progress.say("nothing has arrived for 10 s; some messages are still missing");
                return;
            }
        }
    }

    /// Stops the clients and gathers what they know, and what the servers have stored.
    async fn evidence(
        self,
        target: &Target,
        progress: &mut Progress,
        flaws: &mut Vec<String>,
    ) -> anyhow::Result<(Evidence, Vec<HopSample>)> {
        drop(self.stops);
        let delivered = join_all(self.subscribers).await;
        let published = join_all(self.publishers).await;
        let (mut ledgers, mut samples) = (Vec::new(), Vec::new());
        for delivered in delivered {
            let delivered = delivered.context("a subscriber's task failed")?;
            if let Some(closed) = &delivered.ledger.closed {
                let number = delivered.ledger.subscriber;
                flaws.push(format!(
                    "subscriber {number}'s connection ended early: {closed}"
                ));
            }
            ledgers.push(delivered.ledger);
            samples.extend(delivered.samples);
        }
        let mut records = Vec::new();
        for (number, published) in published.into_iter().enumerate() {
            let published = published.context("a publisher's task failed")?;
            if let Some(closed) = &published.closed {
                flaws.push(format!(
                    "publisher {number}'s connection ended early: {closed}"
                ));
            }
            for complaint in &published.complaints {
                flaws.push(format!(
                    "publisher {number} was told something unexpected: {complaint}"
                ));
            }
            records.push(published.records);
        }
        progress.step("reading the channels' history back");
        let history = history::read(&target.servers, &self.shared).await?;
        let channels = self.shared.channels.clone();
        Ok((
            Evidence {
                channels,
                records: Records(records),
                ledgers,
                history,
            },
            samples,
        ))
    }
}

/// Gathers a stream's results, showing how far it has come.
async fn in_step<T>(
    mut stream: BoxStream<'_, anyhow::Result<T>>,
    progress: &mut Progress,
) -> anyhow::Result<Vec<T>> {
    let mut results = Vec::new();
    while let Some(result) = stream.try_next().await? {
        results.push(result);
        progress.at(results.len() as u64);
    }
    Ok(results)
}

async fn wait_until(clock: Clock, from: Duration, until: Duration, progress: &mut Progress) {
    let until = Instant::from_std(clock.moment(until));
    while Instant::now() < until {
        let now = Duration::from_micros(u64::from(clock.now_us()));
        progress.at(now.saturating_sub(from).as_secs());
        tokio::time::sleep_until(until.min(Instant::now() + Duration::from_millis(500))).await;
    }
}

fn deliveries_within(evidence: &Evidence, window_us: &std::ops::Range<u32>) -> u64 {
    let within = |ledger: &Ledger| {
        ledger
            .iter()
            .filter(|(_, received)| window_us.contains(&received.at_us))
            .count() as u64
    };
    evidence.ledgers.iter().map(within).sum()
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
