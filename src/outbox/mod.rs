//! `outbox`: where a relay feeds the broker. What is committed stands in a table, by the same transaction, until the relay
//! has published it; so nothing committed is forgotten, whoever crashes.
//!
//! Every server has a relay, and one of them works: the one whose session has a lock. Two at once would publish 4 before 3. A
//! message can be published twice, by a relay that dies before it removes it; `receive` drops the second one.

mod relay;
mod rows;
mod wake;

use std::sync::{Arc, atomic::AtomicBool};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{broker::Broker, config, protocol::SenderName};
use relay::Relay;
use wake::Waker;

/// The way to the relay. When the last clone is dropped it publishes what is there, then lets go of the lock.
#[derive(Clone)]
pub struct Outbox {
    config: config::Outbox,
    /// Holds one at most: a wake that waits is as good as two.
    wakes: mpsc::Sender<()>,
}

/// What the relay and those who wake it share.
#[derive(Default)]
struct Here {
    /// There may be something to publish.
    woken: Notify,
    /// Whether this server relays.
    relays: AtomicBool,
}

impl Outbox {
    /// Starts the tasks that it needs. `node` stands in the envelopes: their times are by its clock.
    pub fn start(
        node: SenderName,
        config: config::Outbox,
        database: &PgConnectOptions,
        broker: Arc<dyn Broker>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (wakes, commits) = mpsc::channel(1);
        let (here, ended) = (Arc::new(Here::default()), CancellationToken::new());
        let notifier = Waker { database: database.clone(), here: here.clone() };
        tasks.spawn(notifier.run(commits, ended.clone().drop_guard()));
        tasks.spawn(Relay::new(node, config, database.clone(), broker, here).run(ended));
        Self { config, wakes }
    }

    /// Something was committed.
    pub fn wake(&self) {
        if self.config.woken {
            let _ = self.wakes.try_send(());
        }
    }
}
