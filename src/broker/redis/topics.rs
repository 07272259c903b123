//! Which topics there are, and which of them a server is subscribed to.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{RedisResult, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, interval},
};

use crate::{config, protocol::ChannelName};

/// Topics that one command names.
const TOPICS_AT_ONCE: usize = 512;
/// Subscriptions that may wait for their command. Whoever has one more waits for room.
const REQUESTS_MAX: usize = 1024;
/// A channel without clients keeps its topic for so long: often they are back at once.
const LINGER: Duration = Duration::from_secs(2);
/// How often topics are looked for that have lingered.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// A channel whose topic is wanted, and whom to tell when it stands.
pub(super) struct Request {
    channel: ChannelName,
    stands: oneshot::Sender<()>,
}

/// See the module.
pub(super) struct Topics {
    layout: config::Topics,
    /// Since when no client wants a channel that has a topic here; none if one does.
    wanted: Mutex<HashMap<ChannelName, Option<Instant>>>,
    requests: mpsc::Sender<Request>,
}

impl Topics {
    /// The topics, and what asks for them.
    pub(super) fn new(layout: config::Topics) -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        (Self { layout, wanted: Mutex::default(), requests }, receiver)
    }

    /// Where a channel's messages are published.
    pub(super) fn of(&self, channel: &ChannelName) -> String {
        match &self.layout {
            config::Topics::One(topic) => topic.clone(),
            config::Topics::EachChannel(prefix) => format!("{prefix}:{channel}"),
        }
    }

    /// A client wants this channel. Asks for its topic where it has one of its own; the answer comes once it stands.
    pub(super) async fn want(&self, channel: &ChannelName) -> Option<oneshot::Receiver<()>> {
        if matches!(self.layout, config::Topics::One(_)) {
            return None;
        }
        self.wanted().insert(channel.clone(), None);
        let (stands, answer) = oneshot::channel();
        let _ = self.requests.send(Request { channel: channel.clone(), stands }).await;
        Some(answer)
    }

    /// No client wants this channel any more.
    pub(super) fn unwant(&self, channel: &ChannelName) {
        if let Some(since) = self.wanted().get_mut(channel) {
            *since = Some(Instant::now());
        }
    }

    /// Subscribes a new connection to all that is wanted.
    pub(super) async fn subscribe_all(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let topics = match &self.layout {
            config::Topics::One(topic) => vec![topic.clone()],
            config::Topics::EachChannel(_) => {
                self.wanted().keys().map(|channel| self.of(channel)).collect::<Vec<_>>()
            }
        };
        for topics in topics.chunks(TOPICS_AT_ONCE) {
            connection.subscribe(topics).await?;
        }
        Ok(())
    }

    /// Subscribes to what is asked for, and unsubscribes from what has lingered. Returns when that fails.
    pub(super) async fn follow(
        &self,
        mut connection: MultiplexedConnection,
        requests: &mut mpsc::Receiver<Request>,
    ) -> RedisResult<()> {
        let mut sweeps = interval(SWEEP_EVERY);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                _ = requests.recv_many(&mut batch, TOPICS_AT_ONCE) => {
                    let topics: Vec<String> = batch.iter().map(|request: &Request| self.of(&request.channel)).collect();
                    connection.subscribe(topics).await?;
                    for request in batch.drain(..) {
                        let _ = request.stands.send(());
                    }
                }
                _ = sweeps.tick() => {
                    let topics = self.take_lingered();
                    for topics in topics.chunks(TOPICS_AT_ONCE) {
                        connection.unsubscribe(topics).await?;
                    }
                }
            }
        }
    }

    fn take_lingered(&self) -> Vec<String> {
        let has_lingered = |_: &ChannelName, since: &mut Option<Instant>| {
            since.is_some_and(|since| since.elapsed() >= LINGER)
        };
        self.wanted().extract_if(has_lingered).map(|(channel, _)| self.of(&channel)).collect()
    }

    fn wanted(&self) -> MutexGuard<'_, HashMap<ChannelName, Option<Instant>>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
