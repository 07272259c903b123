//! A pair of connections to Redis that live and die together: one publishes, the other one is subscribed.

use std::{sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};

use super::super::{BrokerEvent, arrivals::Arrivals};
use crate::{config, telemetry::labels::BrokerLoss};

/// How long connecting, or any single answer, may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Session {
    pub(super) publisher: MultiplexedConnection,
    pub(super) subscriber: MultiplexedConnection,
    closed: Arc<Notify>,
}

impl Session {
    /// Connects. What comes in goes to `events`.
    pub(super) async fn open(
        config: &config::Redis,
        events: &mpsc::Sender<BrokerEvent>,
    ) -> RedisResult<Self> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let closed = Arc::new(Notify::new());
        let pushes = PushHandler { arrivals: Arrivals::new(events.clone()), closed: closed.clone() };
        let subscriber_settings = settings.clone().set_push_sender(move |push| {
            pushes.handle(push);
            Ok::<(), std::convert::Infallible>(())
        });
        let client = &config.client;
        let publisher = client.get_multiplexed_async_connection_with_config(&settings).await?;
        let subscriber = client.get_multiplexed_async_connection_with_config(&subscriber_settings).await?;
        Ok(Self { publisher, subscriber, closed })
    }

    /// Returns once either connection is of no use any more.
    pub(super) async fn broken(&self, heartbeat: Duration) -> BrokerLoss {
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

/// Runs in the connection's read loop, so it never waits.
struct PushHandler {
    arrivals: Arrivals,
    closed: Arc<Notify>,
}

impl PushHandler {
    fn handle(&self, mut push: PushInfo) {
        match push.kind {
            PushKind::Message => {
                if let Some(Value::BulkString(payload)) = push.data.pop() {
                    self.arrivals.take(payload);
                }
            }
            PushKind::Disconnection => self.closed.notify_one(),
            _ => {}
        }
    }
}
