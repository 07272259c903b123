//! The clients of a run: connected, set talking, and gathered in.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::{
    StreamExt, TryStreamExt,
    future::join_all,
    stream::{self, BoxStream},
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    HopSample, LOOK_EVERY, Observer, Shared, Tally, Target, history,
    publisher::{Published, Publisher},
    stage::Stage,
    subscriber::{Delivered, Subscriber},
};
use crate::{
    audit::{Evidence, Ledger, Records},
    clock::Clock,
    identity::Identity,
    plan::Layout,
    progress::Progress,
    spans::Sampling,
};

/// Connections that are made at the same time.
const CONNECTING_MAX: usize = 64;
/// The drain ends when nothing has arrived for so long.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Clients that are connected and don't talk yet.
#[derive(Debug)]
pub(super) struct Crowd {
    shared: Arc<Shared>,
    subscribers: Vec<Subscriber>,
    publishers: Vec<Publisher>,
    stage: Stage,
}

/// Clients that talk.
pub(super) struct Talk {
    pub(super) shared: Arc<Shared>,
    subscribers: Vec<JoinHandle<Delivered>>,
    publishers: Vec<JoinHandle<Published>>,
    stage: Stage,
    /// Dropping these stops the tasks.
    stops: Vec<oneshot::Sender<()>>,
}

/// What the clients know.
pub(super) struct Gathered {
    pub(super) records: Records,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) samples: Vec<HopSample>,
}

impl Crowd {
    /// Connects all clients; each subscriber is subscribed then.
    pub(super) async fn connect(
        layout: &Layout,
        target: &Target,
        messages_of: impl Fn(usize) -> usize + Sync,
        length_max: usize,
        sampling: Option<Sampling>,
        observe: impl FnOnce(&Identity, &[String]) -> Option<Observer>,
        progress: &mut Progress,
    ) -> anyhow::Result<Self> {
        let identity = Identity::new(layout.body_bytes);
        let channels: Vec<String> = (0..layout.channels).map(|n| identity.channel(n)).collect();
        let listens_to = (0..layout.subscribers).map(|n| layout.subscribers_channel(n));
        let tally = Tally::new(layout.channels, listens_to);
        let observer = observe(&identity, &channels);
        let shared = Arc::new(Shared { identity, channels, tally, sampling, observer });

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
        let stage = Stage::start()?;
        let publishers = stream::iter(0..layout.publishers).map(|number| {
            let server = Layout::publishers_server(number, target.servers.len());
            let messages = messages_of(number);
            let (addr, publishers) = (target.servers[server], layout.publishers);
            let connecting = stage.handle().spawn(Publisher::connect(addr, number, publishers, messages));
            async move { connecting.await.context("a publisher's task failed")? }
        });
        let publishers = in_step(publishers.buffered(CONNECTING_MAX).boxed(), progress).await?;
        Ok(Self { shared, subscribers, publishers, stage })
    }

    /// Starts the subscribers; the publishers are still to be started.
    pub(super) fn listen(self, clock: Clock) -> (Talk, Vec<Publisher>) {
        if let Some(observer) = &self.shared.observer {
            observer.begin(clock, self.publishers.len(), self.subscribers.len());
        }
        let mut talk = Talk {
            shared: self.shared,
            subscribers: Vec::new(),
            publishers: Vec::new(),
            stage: self.stage,
            stops: Vec::new(),
        };
        for subscriber in self.subscribers {
            let shared = Arc::clone(&talk.shared);
            let stop = talk.stop();
            talk.subscribers.push(tokio::spawn(async move { subscriber.listen(&shared, clock, stop).await }));
        }
        (talk, self.publishers)
    }
}

impl Talk {
    /// Starts a publisher's task.
    pub(super) fn perform(&mut self, task: impl Future<Output = Published> + Send + 'static) {
        self.publishers.push(self.stage.handle().spawn(task));
    }

    /// What tells one more task to stop.
    pub(super) fn stop(&mut self) -> oneshot::Receiver<()> {
        let (stop, stopped) = oneshot::channel();
        self.stops.push(stop);
        stopped
    }

    /// Waits until every message has been answered and delivered, or nothing more comes.
    pub(super) async fn drain(&self, progress: &mut Progress) {
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
    pub(super) async fn evidence(
        self,
        target: &Target,
        progress: &mut Progress,
        flaws: &mut Vec<String>,
    ) -> anyhow::Result<(Evidence, Vec<HopSample>)> {
        let shared = Arc::clone(&self.shared);
        let Gathered { records, ledgers, samples } = self.gather(flaws).await?;
        progress.step("reading the channels' history back");
        let history = history::read(&target.servers, &shared).await?;
        let channels = shared.channels.clone();
        Ok((Evidence { channels, records, ledgers, history }, samples))
    }

    /// Stops the clients and gathers what they know.
    pub(super) async fn gather(self, flaws: &mut Vec<String>) -> anyhow::Result<Gathered> {
        drop(self.stops);
        let (mut ledgers, mut samples) = (Vec::new(), Vec::new());
        for delivered in join_all(self.subscribers).await {
            let delivered = delivered.context("a subscriber's task failed")?;
            flaws.extend(delivered.flaw());
            ledgers.push(delivered.ledger);
            samples.extend(delivered.samples);
        }
        let mut records = Vec::new();
        for (number, published) in join_all(self.publishers).await.into_iter().enumerate() {
            let published = published.context("a publisher's task failed")?;
            flaws.extend(published.flaws(number));
            records.push(published.records);
        }
        Ok(Gathered { records: Records(records), ledgers, samples })
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
