//! The sessions with all masters of a cluster, or with the one Redis that stands alone.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::future::{join_all, select_all};
use redis::{ErrorKind, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::sync::mpsc;

use super::{
    super::BrokerEvent,
    session::{self, Change, Session, Verbs},
    slots::{Node, SlotMap},
};
use crate::{config, telemetry::labels::BrokerLoss};

/// See the module.
pub(super) struct Nodes {
    config: config::Redis,
    events: mpsc::Sender<BrokerEvent>,
    map: SlotMap,
    sessions: HashMap<Arc<str>, Session>,
}

/// Where to publish.
#[derive(Default)]
pub(super) struct Routes {
    map: SlotMap,
    publishers: HashMap<Arc<str>, MultiplexedConnection>,
    /// Whether every topic that is wanted comes in.
    pub(super) complete: bool,
}

/// What a subscription failed with, and where, if it is a node that failed.
pub(super) struct Failure {
    node: Option<Arc<str>>,
    error: RedisError,
}

impl Routes {
    /// The name of the node that takes what is published to this topic, and the connection to it.
    pub(super) fn of(&self, topic: &str) -> Option<(&Arc<str>, &MultiplexedConnection)> {
        self.publishers.get_key_value(&self.map.node_of(topic)?.name)
    }
}

impl Nodes {
    pub(super) fn new(config: config::Redis, events: mpsc::Sender<BrokerEvent>) -> Self {
        Self { config, events, map: SlotMap::default(), sessions: HashMap::new() }
    }

    /// Sees to it that there is a session with each master, and that all these topics come in. What stands already stays,
    /// and one node that can't be reached keeps no other one from it; then this is an error.
    pub(super) async fn stand(&mut self, topics: &[String]) -> RedisResult<()> {
        self.map = self.look().await?;
        let opened = self.open_missing().await;
        let subscribed = self.change(Change::Subscribe, topics).await;
        let subscribed = subscribed.map_err(|failure| self.give_up_on(failure));
        opened.and(subscribed)
    }

    /// Where to publish now.
    pub(super) fn routes(&self, complete: bool) -> Routes {
        let publishers =
            self.sessions.iter().map(|(name, session)| (name.clone(), session.publisher.clone()));
        Routes { map: self.map.clone(), publishers: publishers.collect(), complete }
    }

    /// Returns once all nodes concerned have confirmed it.
    pub(super) async fn change(&self, change: Change, topics: &[String]) -> Result<(), Failure> {
        let mut by_node: HashMap<&Arc<str>, (&Session, Vec<String>)> = HashMap::new();
        let mut homeless = Ok(());
        for topic in topics {
            let session = self.map.node_of(topic).and_then(|node| self.sessions.get_key_value(&node.name));
            match session {
                Some((name, session)) => {
                    by_node.entry(name).or_insert_with(|| (session, Vec::new())).1.push(topic.clone());
                }
                None => homeless = Err(Failure { node: None, error: no_node("a topic's slot has no node") }),
            }
        }
        let changed = by_node.into_iter().map(|(name, (session, topics))| async move {
            let changed = session.change(change, &topics).await;
            changed.map_err(|error| Failure { node: Some(name.clone()), error })
        });
        join_all(changed).await.into_iter().collect::<Result<(), _>>().and(homeless)
    }

    /// Returns once a session is of no use any more: which one, and why.
    pub(super) async fn broken(&self) -> (Arc<str>, BrokerLoss) {
        let heartbeat = self.config.heartbeat;
        let broken = self
            .sessions
            .iter()
            .map(|(name, session)| Box::pin(async move { (name.clone(), session.broken(heartbeat).await) }));
        select_all(broken).await.0
    }

    /// Gives up a session.
    pub(super) fn close(&mut self, name: &str) {
        self.sessions.remove(name);
    }

    /// Gives up the session that has failed.
    pub(super) fn give_up_on(&mut self, Failure { node, error }: Failure) -> RedisError {
        if let Some(name) = node {
            self.close(&name);
        }
        error
    }

    /// Gives up all of them.
    pub(super) fn close_all(&mut self) {
        self.sessions.clear();
    }

    /// Closes the sessions with what is no master any more, and opens those that are missing.
    async fn open_missing(&mut self) -> RedisResult<()> {
        let masters: HashMap<Arc<str>, Node> =
            self.map.nodes().map(|node| (node.name.clone(), node.clone())).collect();
        self.sessions.retain(|name, _| masters.contains_key(name));
        let verbs = Verbs::of(&self.config.topics);
        let missing = masters.into_iter().filter(|(name, _)| !self.sessions.contains_key(name));
        let opened =
            missing.map(async |(name, node)| (name, Session::open(&node.client, verbs, &self.events).await));
        let opened = join_all(opened.collect::<Vec<_>>()).await;
        let mut result = Ok(());
        for (name, session) in opened {
            match session {
                Ok(session) => drop(self.sessions.insert(name, session)),
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Which masters there are: a cluster's nodes are asked, one after the other, until one of them says so.
    async fn look(&self) -> RedisResult<SlotMap> {
        let mut nodes = self.config.nodes.iter().map(Node::new);
        if !matches!(self.config.topics, config::Topics::Partitions { .. }) {
            return Ok(nodes.next().map(SlotMap::of_one).unwrap_or_default());
        }
        let mut asked = HashSet::new();
        let mut result = Err(no_node("no node is known"));
        for node in self.map.nodes().cloned().chain(nodes) {
            if asked.insert(node.name.clone()) {
                result = self.ask(&node).await;
                if result.is_ok() {
                    break;
                }
            }
        }
        result
    }

    async fn ask(&self, node: &Node) -> RedisResult<SlotMap> {
        let mut connection = match self.sessions.get(&node.name) {
            Some(session) => session.publisher.clone(),
            None => node.client.get_multiplexed_async_connection_with_config(&session::settings()).await?,
        };
        SlotMap::read(redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?, node)
    }
}

fn no_node(why: &'static str) -> RedisError {
    (ErrorKind::ClusterConnectionNotFound, why).into()
}
