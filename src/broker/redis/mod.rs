//! Redis Pub/Sub: with one topic, of which every server receives everything; with a topic for each channel, of which a
//! server receives what its clients want; or with partitions of the channels, spread over a cluster.
//!
//! A supervisor opens sessions for as long as the server runs. It uses neither the crate's `ConnectionManager` nor its
//! cluster client, which would publish into a reconnection that takes seconds, ignore refused re-subscriptions, and notice
//! a frozen Redis as little as TCP does. A Redis that stands alone is a cluster of one node, whose map is known.

mod nodes;
mod session;
mod slots;
mod supervisor;
mod topics;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use redis::{Pipeline, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{Broker, BrokerEvent, Envelope, PublishError};
use crate::{
    config,
    protocol::ChannelName,
    telemetry::{labels::Direction, metrics::metrics},
};
use nodes::{Nodes, Routes};
use session::{ANSWER_TIMEOUT, Verbs};
use supervisor::{Signs, Supervisor, is_moved};
use topics::Topics;

/// See the module.
pub(super) struct RedisBroker {
    topics: Arc<Topics>,
    verbs: &'static Verbs,
    publish_timeout: Duration,
    routes: watch::Receiver<Arc<Routes>>,
    signs: Arc<Signs>,
}

impl RedisBroker {
    /// Starts the supervisor, which ends when the receiver of `events` is dropped.
    pub(super) fn start(config: config::Redis, events: mpsc::Sender<BrokerEvent>) -> Self {
        let (routes_slot, routes) = watch::channel(Arc::default());
        let (topics, requests) = Topics::new(config.topics.clone());
        let broker = Self {
            topics: Arc::new(topics),
            verbs: Verbs::of(&config.topics),
            publish_timeout: config.publish_timeout,
            routes,
            signs: Arc::default(),
        };
        let supervisor = Supervisor {
            nodes: Nodes::new(config, events.clone()),
            events,
            topics: broker.topics.clone(),
            requests,
            routes: routes_slot,
            signs: broker.signs.clone(),
        };
        tokio::spawn(supervisor.run());
        broker
    }

    /// Sends what one node takes of a batch.
    async fn send(
        &self,
        mut connection: MultiplexedConnection,
        commands: Pipeline,
    ) -> Result<(), PublishError> {
        match timeout(self.publish_timeout, commands.query_async::<()>(&mut connection)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "publish failed");
                if is_moved(&error) {
                    self.signs.moved.notify_waiters();
                }
                Err(PublishError::Failed)
            }
            Err(_) => Err(PublishError::Failed),
        }
    }
}

#[async_trait]
impl Broker for RedisBroker {
    /// Nodes don't wait for one another. A channel is always the same node's, so it keeps its order.
    async fn publish(&self, batch: &[Envelope]) -> Result<(), PublishError> {
        let routes = self.routes.borrow().clone();
        let mut by_node = HashMap::new();
        let mut result = Ok(());
        for envelope in batch {
            let topic = self.topics.of(&envelope.message.channel);
            let Some((node, connection)) = routes.of(&topic) else {
                result = Err(PublishError::Down);
                continue;
            };
            let payload = envelope.encode();
            metrics().broker_bytes.of(Direction::Out).increment(payload.len() as u64);
            let (_, commands) = by_node.entry(node).or_insert_with(|| (connection.clone(), Pipeline::new()));
            commands.cmd(self.verbs.publish).arg(topic).arg(payload).ignore();
        }
        if result.is_err() && !by_node.is_empty() {
            result = Err(PublishError::Failed);
        }
        let sent = by_node.into_values().map(|(connection, commands)| self.send(connection, commands));
        join_all(sent).await.into_iter().collect::<Result<(), _>>().and(result)
    }

    async fn subscribe(&self, channel: &ChannelName) {
        if let Some(stands) = self.topics.want(channel)
            && self.is_connected()
        {
            // Without an answer the next session subscribes to it, and the checks of positions bring what is missed.
            let _ = timeout(ANSWER_TIMEOUT, stands).await;
        }
    }

    fn unsubscribe(&self, channel: &ChannelName) {
        self.topics.unwant(channel);
    }

    fn is_connected(&self) -> bool {
        self.routes.borrow().complete
    }

    fn reconnect(&self) {
        self.signs.deaf.notify_waiters();
    }
}
