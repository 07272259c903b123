//! The task that keeps sessions standing for as long as the server runs.

use std::{sync::Arc, time::Duration};

use redis::{RedisError, ServerErrorKind};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};

use super::{
    super::BrokerEvent,
    nodes::{Nodes, Routes},
    topics::{Request, Topics},
};
use crate::telemetry::{labels::BrokerLoss, metrics::metrics};

const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Supervisor {
    pub(super) events: mpsc::Sender<BrokerEvent>,
    pub(super) nodes: Nodes,
    pub(super) topics: Arc<Topics>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) routes: watch::Sender<Arc<Routes>>,
    pub(super) signs: Arc<Signs>,
}

/// What others tell the supervisor.
#[derive(Default)]
pub(super) struct Signs {
    /// Messages don't come in, though the sessions seem up.
    pub(super) deaf: Notify,
    /// A node has refused a topic that is another one's.
    pub(super) moved: Notify,
}

impl Supervisor {
    /// Ends when the receiver of `events` is dropped.
    pub(super) async fn run(mut self) {
        while !self.events.is_closed() {
            match self.nodes.stand(&self.topics.wanted()).await {
                Ok(()) => self.keep().await,
                Err(error) => {
                    tracing::warn!(%error, "Redis can't be reached; trying again");
                    metrics().broker_losses.of(loss_of(&error)).increment(1);
                }
            }
            self.routes.send_replace(Arc::new(self.nodes.routes(false)));
            tokio::select! {
                () = sleep(RECONNECT_PAUSE) => {}
                () = self.events.closed() => {}
            }
        }
    }

    /// Lets the server use the sessions for as long as all of them stand.
    async fn keep(&mut self) {
        tracing::info!("subscribed to Redis");
        self.routes.send_replace(Arc::new(self.nodes.routes(true)));
        metrics().broker_connected.set(1.0);
        let _ = self.events.send(BrokerEvent::Restored).await;

        let Some(loss) = self.lose().await else { return };

        self.routes.send_replace(Arc::new(self.nodes.routes(false)));
        metrics().broker_connected.set(0.0);
        metrics().broker_losses.of(loss).increment(1);
        tracing::warn!(reason = ?loss, "lost Redis; messages are healed from PostgreSQL meanwhile");
        let _ = self.events.send(BrokerEvent::Lost).await;
    }

    /// Returns once something is lost, and gives up what is of no use any more; none if no one wants messages any more.
    async fn lose(&mut self) -> Option<BrokerLoss> {
        let following = self.topics.follow(&self.nodes, &mut self.requests);
        tokio::select! {
            (name, loss) = self.nodes.broken() => {
                self.nodes.close(&name);
                Some(loss)
            }
            Err(failure) = following => Some(loss_of(&self.nodes.give_up_on(failure))),
            () = self.signs.moved.notified() => Some(BrokerLoss::Moved),
            () = self.signs.deaf.notified() => {
                self.nodes.close_all();
                Some(BrokerLoss::Deaf)
            }
            () = self.events.closed() => None,
        }
    }
}

fn loss_of(error: &RedisError) -> BrokerLoss {
    if is_moved(error) { BrokerLoss::Moved } else { BrokerLoss::Closed }
}

/// Whether a node has said that a topic is another one's.
pub(super) fn is_moved(error: &RedisError) -> bool {
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| error.kind() == Some(ServerErrorKind::Moved)))
}
