//! Redis Pub/Sub with one topic: every server receives everything.
//!
//! A *session* is a pair of connections, one that publishes and one that is subscribed. They live and die
//! together, and a supervisor opens sessions for as long as the server runs. It does not use the crate's
//! `ConnectionManager`, which would publish into a reconnection that takes seconds, ignores refused
//! re-subscriptions, and notices a frozen Redis as little as TCP does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};

use super::{Broker, BrokerEvent, Envelope, Incoming, PublishError};
use crate::{
    clock, config,
    fault::{self, Line},
    hop::Hop,
    telemetry::{
        labels::{BrokerLoss, Direction, DropReason},
        metrics::metrics,
    },
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct RedisBroker {
    topic: String,
    publish_timeout: Duration,
    /// The publishing connection of the session that stands, if one does.
    publisher: watch::Receiver<Option<MultiplexedConnection>>,
    deaf: Arc<Notify>,
}

impl RedisBroker {
    /// Starts the supervisor, which ends when the receiver of `events` is dropped.
    pub(super) fn start(config: config::Broker, events: mpsc::Sender<BrokerEvent>) -> Self {
        let (publisher_slot, publisher) = watch::channel(None);
        let deaf = Arc::new(Notify::new());
        let broker = Self {
            topic: config.topic.clone(),
            publish_timeout: config.publish_timeout,
            publisher,
            deaf: deaf.clone(),
        };
        tokio::spawn(Supervisor { config, events, publisher_slot, deaf }.run());
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
            pipeline.publish(&self.topic, payload).ignore();
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

    fn is_connected(&self) -> bool {
        self.publisher.borrow().is_some()
    }

    fn reconnect(&self) {
        self.deaf.notify_waiters();
    }
}

struct Supervisor {
    config: config::Broker,
    events: mpsc::Sender<BrokerEvent>,
    publisher_slot: watch::Sender<Option<MultiplexedConnection>>,
    deaf: Arc<Notify>,
}

impl Supervisor {
    async fn run(self) {
        while !self.events.is_closed() {
            match Session::open(&self.config, &self.events).await {
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

    /// Lets the server use a session for as long as it stands.
    async fn keep(&self, session: Session) {
        tracing::info!("subscribed to Redis");
        self.publisher_slot.send_replace(Some(session.publisher.clone()));
        metrics().broker_connected.set(1.0);
        let _ = self.events.send(BrokerEvent::Restored).await;

        let loss = tokio::select! {
            loss = session.broken(self.config.heartbeat) => loss,
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

struct Session {
    publisher: MultiplexedConnection,
    subscriber: MultiplexedConnection,
    closed: Arc<Notify>,
}

impl Session {
    /// Connects and subscribes; returns when Redis has confirmed the subscription.
    async fn open(config: &config::Broker, events: &mpsc::Sender<BrokerEvent>) -> RedisResult<Self> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(CONNECT_TIMEOUT));
        let closed = Arc::new(Notify::new());
        let pushes = PushHandler::new(events.clone(), closed.clone());
        let subscriber_settings = settings.clone().set_push_sender(move |push| {
            pushes.handle(push);
            Ok::<(), std::convert::Infallible>(())
        });
        let publisher = config.redis.get_multiplexed_async_connection_with_config(&settings).await?;
        let mut subscriber =
            config.redis.get_multiplexed_async_connection_with_config(&subscriber_settings).await?;
        subscriber.subscribe(&config.topic).await?;
        Ok(Self { publisher, subscriber, closed })
    }

    /// Returns once either connection is of no use any more.
    async fn broken(&self, heartbeat: Duration) -> BrokerLoss {
        tokio::select! {
            () = self.closed.notified() => BrokerLoss::Closed,
            () = unanswered(&self.publisher, heartbeat) => BrokerLoss::Heartbeat,
            () = unanswered(&self.subscriber, heartbeat) => BrokerLoss::Heartbeat,
        }
    }
}

/// Sends a `PING` every `heartbeat`; returns when one isn't answered within another `heartbeat`.
async fn unanswered(connection: &MultiplexedConnection, heartbeat: Duration) {
    let mut connection = connection.clone();
    loop {
        sleep(heartbeat).await;
        let ping = redis::cmd("PING");
        let answer = timeout(heartbeat, ping.query_async::<Value>(&mut connection)).await;
        if !matches!(answer, Ok(Ok(_))) {
            return;
        }
    }
}

/// Runs in the connection's read loop, so it never waits: what `receive` has no room for is dropped.
struct PushHandler {
    payloads: Line<Vec<u8>>,
    arrivals: Arc<Arrivals>,
    closed: Arc<Notify>,
}

impl PushHandler {
    fn new(events: mpsc::Sender<BrokerEvent>, closed: Arc<Notify>) -> Self {
        let arrivals = Arc::new(Arrivals { events, overflowed: AtomicBool::new(false) });
        let stamping = arrivals.clone();
        let payloads = Line::new(Hop::Broadcast, move |payload| stamping.hand_over(payload));
        Self { payloads, arrivals, closed }
    }

    fn handle(&self, push: PushInfo) {
        match push.kind {
            PushKind::Message => self.on_message(push.data),
            PushKind::Disconnection => self.closed.notify_one(),
            _ => {}
        }
    }

    fn on_message(&self, mut data: Vec<Value>) {
        if let Some(Value::BulkString(payload)) = data.pop()
            && !fault::loses_message()
        {
            metrics().broker_bytes.of(Direction::In).increment(payload.len() as u64);
            if self.payloads.pass(clock::now_us(), payload).is_err() {
                self.arrivals.drop_one();
            }
        }
    }
}

/// The hand-over to `receive`.
struct Arrivals {
    events: mpsc::Sender<BrokerEvent>,
    overflowed: AtomicBool,
}

impl Arrivals {
    /// `broadcast` ends here.
    fn hand_over(&self, payload: Vec<u8>) {
        let after_overflow = self.overflowed.load(Ordering::Relaxed);
        let incoming = Incoming { payload, received_us: clock::now_us(), after_overflow };
        if self.events.try_send(BrokerEvent::Message(incoming)).is_err() {
            return self.drop_one();
        }
        metrics().receive_queue.increment(1.0);
        if after_overflow {
            self.overflowed.store(false, Ordering::Relaxed);
        }
    }

    /// The next message that is handed over says that some are missing.
    fn drop_one(&self) {
        self.overflowed.store(true, Ordering::Relaxed);
        metrics().dropped.of(DropReason::ReceiveQueueFull).increment(1);
    }
}
