//! Which topics there are, and which of them a server is subscribed to.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, interval},
};

use super::{
    nodes::{Failure, Nodes},
    session::Change,
};
use crate::{config, protocol::ChannelName};

/// Subscriptions that are asked for at once.
const REQUESTS_AT_ONCE: usize = 512;
/// Subscriptions that may wait for their command.
const REQUESTS_MAX: usize = 1024;
/// A topic stays for so long after the last client of its channels: often they are back at once.
const LINGER: Duration = Duration::from_secs(2);
/// How often topics are looked for that have lingered.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// A topic that is wanted, and whom to tell when it stands.
pub(super) struct Request {
    topic: String,
    stands: oneshot::Sender<()>,
}

/// See the module.
pub(super) struct Topics {
    layout: config::Topics,
    wanted: Mutex<HashMap<String, Wanted>>,
    requests: mpsc::Sender<Request>,
    /// There was no room for a request: all that is wanted is to be subscribed to once more.
    overlooked: AtomicBool,
}

/// A topic that is subscribed to, or soon will be.
#[derive(Default)]
struct Wanted {
    /// Those of its channels that local clients want.
    channels: HashSet<ChannelName>,
    /// Since when there are none.
    lingers_since: Option<Instant>,
}

impl Topics {
    /// The topics, and what asks for them.
    pub(super) fn new(layout: config::Topics) -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        (Self { layout, wanted: Mutex::default(), requests, overlooked: AtomicBool::new(false) }, receiver)
    }

    /// Where a channel's messages are published.
    pub(super) fn of(&self, channel: &ChannelName) -> String {
        match &self.layout {
            config::Topics::One(topic) => topic.clone(),
            config::Topics::EachChannel(prefix) => format!("{prefix}:{channel}"),
            // The braces say that the number alone decides on the slot.
            config::Topics::Partitions { prefix, count } => {
                format!("{prefix}:{{{}}}", channel.partition(*count))
            }
        }
    }

    /// A client wants this channel. Asks for its topic, if not everything comes anyway; the answer comes once it stands. With
    /// too many requests before it there is none, but the topic comes soon.
    pub(super) fn want(&self, channel: &ChannelName) -> Option<oneshot::Receiver<()>> {
        if matches!(self.layout, config::Topics::One(_)) {
            return None;
        }
        let topic = self.of(channel);
        {
            let mut topics = self.lock();
            let wanted = topics.entry(topic.clone()).or_default();
            wanted.channels.insert(channel.clone());
            wanted.lingers_since = None;
        }
        let (stands, answer) = oneshot::channel();
        if self.requests.try_send(Request { topic, stands }).is_err() {
            self.overlooked.store(true, Ordering::Release);
            return None;
        }
        Some(answer)
    }

    /// No client wants this channel any more.
    pub(super) fn unwant(&self, channel: &ChannelName) {
        if let Some(wanted) = self.lock().get_mut(&self.of(channel)) {
            wanted.channels.remove(channel);
            if wanted.channels.is_empty() {
                wanted.lingers_since = Some(Instant::now());
            }
        }
    }

    /// All topics that have to come in.
    pub(super) fn wanted(&self) -> Vec<String> {
        match &self.layout {
            config::Topics::One(topic) => vec![topic.clone()],
            config::Topics::EachChannel(_) | config::Topics::Partitions { .. } => {
                self.lock().keys().cloned().collect()
            }
        }
    }

    /// Subscribes to what is asked for, and unsubscribes from what has lingered. Returns when that fails.
    pub(super) async fn follow(
        &self,
        nodes: &Nodes,
        requests: &mut mpsc::Receiver<Request>,
    ) -> Result<Infallible, Failure> {
        let mut sweeps = interval(SWEEP_EVERY);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                _ = requests.recv_many(&mut batch, REQUESTS_AT_ONCE) => {
                    let topics: HashSet<&str> = batch.iter().map(|request: &Request| request.topic.as_str()).collect();
                    let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
                    nodes.change(Change::Subscribe, &topics).await?;
                    for request in batch.drain(..) {
                        let _ = request.stands.send(());
                    }
                }
                _ = sweeps.tick() => {
                    if self.overlooked.swap(false, Ordering::Acquire) {
                        nodes.change(Change::Subscribe, &self.wanted()).await?;
                    }
                    nodes.change(Change::Unsubscribe, &self.take_lingered()).await?;
                }
            }
        }
    }

    fn take_lingered(&self) -> Vec<String> {
        let has_lingered = |_: &String, wanted: &mut Wanted| {
            wanted.lingers_since.is_some_and(|since| since.elapsed() >= LINGER)
        };
        self.lock().extract_if(has_lingered).map(|(topic, _)| topic).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
