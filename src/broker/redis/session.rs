//! A pair of connections to a node of Redis that live and die together: one publishes, the other one is subscribed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Pipeline, PushInfo, PushKind, RedisResult, Value,
    aio::MultiplexedConnection,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};

use super::super::{BrokerEvent, arrivals::Arrivals};
use crate::{config, telemetry::labels::BrokerLoss};

/// How long connecting, or any single answer, may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands that wait for their answers together.
const COMMANDS_AT_ONCE: usize = 512;

/// The commands of a kind of Pub/Sub.
pub(super) struct Verbs {
    pub(super) publish: &'static str,
    subscribe: &'static str,
    unsubscribe: &'static str,
}

impl Verbs {
    /// Partitions are sharded: a message stays with the nodes that have its topic's slot.
    pub(super) fn of(topics: &config::Topics) -> &'static Self {
        match topics {
            config::Topics::One(_) | config::Topics::EachChannel(_) => {
                &Self { publish: "PUBLISH", subscribe: "SUBSCRIBE", unsubscribe: "UNSUBSCRIBE" }
            }
            config::Topics::Partitions { .. } => {
                &Self { publish: "SPUBLISH", subscribe: "SSUBSCRIBE", unsubscribe: "SUNSUBSCRIBE" }
            }
        }
    }
}

/// What becomes of subscriptions.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Subscribe,
    Unsubscribe,
}

pub(super) struct Session {
    pub(super) publisher: MultiplexedConnection,
    subscriber: MultiplexedConnection,
    verbs: &'static Verbs,
    pushes: Arc<Pushes>,
}

impl Session {
    /// Connects. What comes in goes to `events`.
    pub(super) async fn open(
        client: &Client,
        verbs: &'static Verbs,
        events: &mpsc::Sender<BrokerEvent>,
    ) -> RedisResult<Self> {
        let pushes = Arc::new(Pushes::default());
        let handler = PushHandler { arrivals: Arrivals::new(events.clone()), pushes: pushes.clone() };
        let subscriber_settings = settings().set_push_sender(move |push| {
            handler.handle(push);
            Ok::<(), std::convert::Infallible>(())
        });
        let publisher = client.get_multiplexed_async_connection_with_config(&settings()).await?;
        let subscriber = client.get_multiplexed_async_connection_with_config(&subscriber_settings).await?;
        Ok(Self { publisher, subscriber, verbs, pushes })
    }

    /// Returns once Redis has confirmed it for all of these topics.
    pub(super) async fn change(&self, change: Change, topics: &[String]) -> RedisResult<()> {
        let verb = match change {
            Change::Subscribe => self.verbs.subscribe,
            Change::Unsubscribe => {
                self.pushes.ends_asked_for.fetch_add(topics.len(), Ordering::Relaxed);
                self.verbs.unsubscribe
            }
        };
        let mut connection = self.subscriber.clone();
        for topics in topics.chunks(COMMANDS_AT_ONCE) {
            let mut commands = Pipeline::with_capacity(topics.len());
            for topic in topics {
                // Topics of different slots can't be in one command.
                commands.cmd(verb).arg(topic).ignore();
            }
            commands.query_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    /// Returns once either connection is of no use any more.
    pub(super) async fn broken(&self, heartbeat: Duration) -> BrokerLoss {
        tokio::select! {
            () = self.pushes.closed.notified() => BrokerLoss::Closed,
            () = self.pushes.taken_away.notified() => BrokerLoss::Moved,
            () = unanswered(&self.publisher, heartbeat) => BrokerLoss::Heartbeat,
            () = unanswered(&self.subscriber, heartbeat) => BrokerLoss::Heartbeat,
        }
    }
}

/// The settings of any connection.
pub(super) fn settings() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT))
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

/// What the read loop tells the session.
#[derive(Default)]
struct Pushes {
    closed: Notify,
    /// Redis has ended a subscription by itself, since the topic's slot has gone to another node. The session is of no use
    /// then: the crate may have taken that push for the answer to a command, and each answer since for the one before.
    taken_away: Notify,
    /// Ends of subscriptions that were asked for and have not come yet.
    ends_asked_for: AtomicUsize,
}

/// Runs in the connection's read loop, so it never waits.
struct PushHandler {
    arrivals: Arrivals,
    pushes: Arc<Pushes>,
}

impl PushHandler {
    fn handle(&self, mut push: PushInfo) {
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                if let Some(Value::BulkString(payload)) = push.data.pop() {
                    self.arrivals.take(payload);
                }
            }
            PushKind::Unsubscribe | PushKind::SUnsubscribe => self.pushes.ended(),
            PushKind::Disconnection => self.pushes.closed.notify_one(),
            _ => {}
        }
    }
}

impl Pushes {
    fn ended(&self) {
        let one_less = |count: usize| count.checked_sub(1);
        if self.ends_asked_for.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            self.taken_away.notify_one();
        }
    }
}
