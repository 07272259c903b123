//! Redis Pub/Sub: with one topic, of which every server receives everything, or with a topic for each channel, of which
//! a server receives what its clients want.
//!
//! A supervisor opens sessions for as long as the server runs. It does not use the crate's `ConnectionManager`, which
//! would publish into a reconnection that takes seconds, ignores refused re-subscriptions, and notices a frozen Redis
//! as little as TCP does.

mod session;
mod topics;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{RedisResult, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};

use super::{Broker, BrokerEvent, Envelope, PublishError};
use crate::{
    config,
    protocol::ChannelName,
    telemetry::{
        labels::{BrokerLoss, Direction},
        metrics::metrics,
    },
};
use session::{ANSWER_TIMEOUT, Session};
use topics::{Request, Topics};

const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct RedisBroker {
    topics: Arc<Topics>,
    publish_timeout: Duration,
    /// The publishing connection of the session that stands, if one does.
    publisher: watch::Receiver<Option<MultiplexedConnection>>,
    deaf: Arc<Notify>,
}

impl RedisBroker {
    /// Starts the supervisor, which ends when the receiver of `events` is dropped.
    pub(super) fn start(config: config::Redis, events: mpsc::Sender<BrokerEvent>) -> Self {
        let (publisher_slot, publisher) = watch::channel(None);
        let (topics, requests) = Topics::new(config.topics.clone());
        let broker = Self {
            topics: Arc::new(topics),
            publish_timeout: config.publish_timeout,
            publisher,
            deaf: Arc::default(),
        };
        let (topics, deaf) = (broker.topics.clone(), broker.deaf.clone());
        tokio::spawn(Supervisor { config, events, publisher_slot, topics, requests, deaf }.run());
        broker
    }
}

#[async_trait]
impl Broker for RedisBroker {
    async fn publish(&self, batch: &[Envelope]) -> Result<(), PublishError> {
        let mut connection = self.publisher.borrow().clone().ok_or(PublishError::Down)?;
        let mut pipeline = redis::pipe();
        for envelope in batch {
            let payload = envelope.encode();
            metrics().broker_bytes.of(Direction::Out).increment(payload.len() as u64);
            pipeline.publish(self.topics.of(&envelope.message.channel), payload).ignore();
        }
        match timeout(self.publish_timeout, pipeline.query_async::<()>(&mut connection)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "publish failed");
                Err(PublishError::Failed)
            }
            Err(_) => Err(PublishError::Failed),
        }
    }

    async fn subscribe(&self, channel: &ChannelName) {
        let asked = timeout(ANSWER_TIMEOUT, async {
            if let Some(stands) = self.topics.want(channel).await
                && self.is_connected()
            {
                let _ = stands.await;
            }
        });
        // Without an answer the next session subscribes to it, and the checks of positions bring what is missed.
        let _ = asked.await;
    }

    fn unsubscribe(&self, channel: &ChannelName) {
        self.topics.unwant(channel);
    }

    fn is_connected(&self) -> bool {
        self.publisher.borrow().is_some()
    }

    fn reconnect(&self) {
        self.deaf.notify_waiters();
    }
}

struct Supervisor {
    config: config::Redis,
    events: mpsc::Sender<BrokerEvent>,
    publisher_slot: watch::Sender<Option<MultiplexedConnection>>,
    topics: Arc<Topics>,
    requests: mpsc::Receiver<Request>,
    deaf: Arc<Notify>,
}

impl Supervisor {
    async fn run(mut self) {
        while !self.events.is_closed() {
            match self.open().await {
                Ok(session) => self.keep(session).await,
                Err(error) => {
                    tracing::warn!(%error, "Redis can't be reached; trying again");
                    metrics().broker_losses.of(BrokerLoss::Closed).increment(1);
                }
            }
            tokio::select! {
                () = sleep(RECONNECT_PAUSE) => {}
                () = self.events.closed() => {}
            }
        }
    }

    /// A session whose subscriptions Redis has confirmed.
    async fn open(&self) -> RedisResult<Session> {
        let mut session = Session::open(&self.config, &self.events).await?;
        self.topics.subscribe_all(&mut session.subscriber).await?;
        Ok(session)
    }

    /// Lets the server use a session for as long as it stands.
    async fn keep(&mut self, session: Session) {
        tracing::info!("subscribed to Redis");
        self.publisher_slot.send_replace(Some(session.publisher.clone()));
        metrics().broker_connected.set(1.0);
        let _ = self.events.send(BrokerEvent::Restored).await;

        let following = self.topics.follow(session.subscriber.clone(), &mut self.requests);
        let loss = tokio::select! {
            loss = session.broken(self.config.heartbeat) => loss,
            _ = following => BrokerLoss::Closed,
            () = self.deaf.notified() => BrokerLoss::Deaf,
            () = self.events.closed() => return,
        };

        self.publisher_slot.send_replace(None);
        metrics().broker_connected.set(0.0);
        metrics().broker_losses.of(loss).increment(1);
        tracing::warn!(reason = ?loss, "lost Redis; messages are healed from PostgreSQL meanwhile");
        let _ = self.events.send(BrokerEvent::Lost).await;
    }
}
