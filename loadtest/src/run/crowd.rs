//! The clients of a run: connected, set talking, and gathered in.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::{
    StreamExt,
    future::join_all,
    stream::{self, BoxStream},
};
use serde::Serialize;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    HopSample, LOOK_EVERY, Observer, Shared, Survival, Tally, Target, Trouble, Visit, Watch,
    delivered::Delivered,
    history::Reader,
    publisher::{Published, Publisher},
    stage::Stage,
    subscriber::{Seat, Subscriber},
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
    subscribers: Vec<Result<Subscriber, Delivered>>,
    publishers: Vec<Result<Publisher, Published>>,
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
    pub(super) connected: Connected,
}

/// How many clients there are, and how many were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Connected {
    pub(crate) publishers: usize,
    pub(crate) publishers_wanted: usize,
    pub(crate) subscribers: usize,
    pub(crate) subscribers_wanted: usize,
}

/// What holds for all of a run's messages.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Which messages are traced.
    pub(super) sampling: Option<Sampling>,
    /// Whether the run may end before its time.
    pub(super) watch: Option<Watch>,
    /// Whether and how clients outlast the loss of their connection.
    pub(super) survival: Option<Arc<Survival>>,
}

/// What the clients know.
pub(super) struct Gathered {
    pub(super) records: Records,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) noted: Noted,
}

impl Crowd {
    /// Connects all clients; each subscriber is subscribed then. What some couldn't is told at the end; an error
    /// means that none could.
    pub(super) async fn connect(
        layout: &Layout,
        target: &Target,
        messages_of: impl Fn(usize) -> usize + Sync,
        length_max: usize,
        rules: Rules,
        observe: impl FnOnce(&Identity, &[String]) -> Option<Observer>,
        progress: &mut Progress,
    ) -> anyhow::Result<Self> {
        let identity = Identity::new(layout.body_bytes);
        let channels: Vec<String> = (0..layout.channels).map(|n| identity.channel(n)).collect();
        let listens_to = (0..layout.subscribers).map(|n| layout.subscribers_channel(n));
        let tally = Tally::new(layout.channels, listens_to);
        let observer = observe(&identity, &channels);
        let Rules { sampling, watch, survival } = rules;
        let notes_timing = survival.is_none();
        let (servers, credentials) = (target.servers.clone(), target.credentials.clone());
        let shared = Arc::new(Shared {
            identity,
            credentials,
            channels,
            tally,
            sampling,
            observer,
            watch,
            servers,
            survival,
        });

        progress.step_of("connecting subscribers", layout.subscribers as u64);
        let subscribers = stream::iter(seats(layout, target, notes_timing)).map(|seat| {
            let shared = Arc::clone(&shared);
            async move {
                let connecting = Subscriber::connect(seat, &shared, length_max);
                connecting.await.map_err(|error| (Delivered::nothing(seat, &error), error))
            }
        });
        let subscribers = in_step(subscribers.buffered(CONNECTING_MAX).boxed(), progress).await?;

        progress.step_of("connecting publishers", layout.publishers as u64);
        let stage = Stage::start()?;
        let publishers = stream::iter(0..layout.publishers).map(|number| {
            let server = Layout::publishers_server(number, target.servers.len());
            let messages = messages_of(number);
            let (addr, publishers) = (target.servers[server], layout.publishers);
            let connecting = Publisher::connect(Arc::clone(&shared), addr, number, publishers, messages);
            let connecting = stage.handle().spawn(connecting);
            async move {
                let connected = connecting.await.context("a publisher's task failed").flatten();
                connected.map_err(|error| (Published::nothing(messages, &error), error))
            }
        });
        let publishers = in_step(publishers.buffered(CONNECTING_MAX).boxed(), progress).await?;
        Ok(Self { shared, subscribers, publishers, stage })
    }

    pub(super) fn channels(&self) -> &[String] {
        &self.shared.channels
    }

    /// Starts the subscribers; the publishers are still to be started.
    pub(super) fn listen(self, clock: Clock, until: Duration) -> (Talk, Vec<Result<Publisher, Published>>) {
        let connected = Connected {
            publishers: self.publishers.iter().flatten().count(),
            publishers_wanted: self.publishers.len(),
            subscribers: self.subscribers.iter().flatten().count(),
            subscribers_wanted: self.subscribers.len(),
        };
        if let Some(survival) = &self.shared.survival {
            survival.begin(clock);
        }
        if let Some(observer) = &self.shared.observer {
            observer.begin(clock, connected.publishers, connected.subscribers);
        }
        let mut talk = Talk {
            shared: self.shared,
            subscribers: Vec::new(),
            publishers: Vec::new(),
            stage: self.stage,
            stops: Vec::new(),
            connected,
        };
        for subscriber in self.subscribers {
            let shared = Arc::clone(&talk.shared);
            let stop = talk.stop();
            talk.subscribers.push(tokio::spawn(async move {
                match subscriber {
                    Ok(subscriber) => subscriber.listen(&shared, clock, until, stop).await,
                    Err(nothing) => {
                        shared.tally.subscriber_gone(nothing.ledger.subscriber);
                        nothing
                    }
                }
            }));
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
    ) -> anyhow::Result<(Evidence, Noted)> {
        let shared = Arc::clone(&self.shared);
        let Gathered { records, ledgers, noted } = self.gather(flaws).await?;
        progress.step("reading the channels' history back");
        let history = Reader::new(&shared)?.all(&target.servers).await?;
        let channels = shared.channels.clone();
        Ok((Evidence { channels, records, ledgers, history }, noted))
    }

    /// Stops the clients and gathers what they know.
    pub(super) async fn gather(self, flaws: &mut Vec<String>) -> anyhow::Result<Gathered> {
        drop(self.stops);
        let (mut ledgers, mut noted) = (Vec::new(), Noted::default());
        for delivered in join_all(self.subscribers).await {
            let delivered = delivered.context("a subscriber's task failed")?;
            flaws.extend(delivered.flaw());
            ledgers.push(delivered.ledger);
            noted.samples.extend(delivered.samples);
            noted.visits.extend(delivered.visits);
            noted.trouble.losses.extend(delivered.losses);
        }
        let mut records = Vec::new();
        for (number, published) in join_all(self.publishers).await.into_iter().enumerate() {
            let published = published.context("a publisher's task failed")?;
            flaws.extend(published.flaws(number));
            noted.trouble.add(published.trouble);
            records.push(published.records);
        }
        Ok(Gathered { records: Records(records), ledgers, noted })
    }
}

/// What clients noted beside their ledgers.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) samples: Vec<HopSample>,
    pub(super) visits: Vec<Visit>,
    pub(super) trouble: Trouble,
}

/// Where each subscriber sits. Those who note timing are, if possible, such as don't come and go. Where clients move from one
/// server to another none does: a figure belongs to a server.
fn seats(layout: &Layout, target: &Target, notes_timing: bool) -> Vec<Seat> {
    let habits = layout.habits();
    let mut seats: Vec<Seat> = habits
        .into_iter()
        .enumerate()
        .map(|(number, habit)| {
            let server = layout.subscribers_server(number, target.servers.len());
            let channel = layout.subscribers_channel(number);
            Seat { number, channel, server, addr: target.servers[server], notes_timing: false, habit }
        })
        .collect();
    let mut noted = HashSet::new();
    for restless in [false, true] {
        for seat in seats.iter_mut().filter(|seat| seat.habit.is_some() == restless) {
            seat.notes_timing = notes_timing && noted.insert((seat.server, seat.channel));
        }
    }
    seats
}

/// Gathers what became of each connection, showing how far it has come. An error if none came about.
async fn in_step<T, Nothing>(
    mut stream: BoxStream<'_, Result<T, (Nothing, anyhow::Error)>>,
    progress: &mut Progress,
) -> anyhow::Result<Vec<Result<T, Nothing>>> {
    let (mut results, mut first_error) = (Vec::new(), None);
    while let Some(result) = stream.next().await {
        results.push(result.map_err(|(nothing, error)| {
            first_error.get_or_insert(error);
            nothing
        }));
        progress.at(results.len() as u64);
    }
    match first_error {
        Some(error) if results.iter().all(Result::is_err) => Err(error),
        _ => Ok(results),
    }
}
