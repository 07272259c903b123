//! How a commit wakes the relay, which may be another server's: by a notification of PostgreSQL. It has a transaction of its
//! own. In the one that writes it would make every commit of the database wait for one lock.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sqlx::{
    ConnectOptions, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use tokio_util::sync::DropGuard;

use super::{
    Here,
    rows::{ANSWER_TIMEOUT, NOTIFICATIONS},
};

const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Passes wakes on, one notification at a time: commits meanwhile share the next one.
pub(super) struct Waker {
    pub(super) database: PgConnectOptions,
    pub(super) here: Arc<Here>,
}

impl Waker {
    /// Runs until nothing commits any more, and says so by dropping `ended`.
    pub(super) async fn run(self, mut commits: mpsc::Receiver<()>, ended: DropGuard) {
        let mut connection = None;
        while commits.recv().await.is_some() {
            if self.here.relays.load(Ordering::Relaxed) {
                self.here.woken.notify_one();
            } else {
                connection = self.notify(connection).await;
            }
        }
        drop(ended);
    }

    /// Gives back the connection if it can be used again. Where this fails the relay finds the messages by looking.
    async fn notify(&self, connection: Option<PgConnection>) -> Option<PgConnection> {
        let notified = async {
            let mut connection = match connection {
                Some(connection) => connection,
                // A notification need not survive anything.
                None => self.database.clone().options([("synchronous_commit", "off")]).connect().await?,
            };
            sqlx::query("SELECT pg_notify($1, '')").bind(NOTIFICATIONS).execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        match timeout(ANSWER_TIMEOUT, notified).await {
            Ok(Ok(connection)) => Some(connection),
            Ok(Err(error)) => {
                tracing::debug!(%error, "could not wake the relay");
                None
            }
            Err(_) => None,
        }
    }
}

/// Wakes the relay of this server at every notification, for as long as it is not dropped.
pub(super) async fn listen(database: &PgConnectOptions, woken: &Notify) {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER_TIMEOUT);
    let pool = pool.connect_lazy_with(database.clone());
    loop {
        let heard: Result<(), sqlx::Error> = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(NOTIFICATIONS).await?;
            loop {
                // What came while there was no connection is not heard, but then the relay looks.
                listener.try_recv().await?;
                woken.notify_one();
            }
        }
        .await;
        if let Err(error) = heard {
            tracing::debug!(%error, "could not listen for commits");
        }
        sleep(RECONNECT_PAUSE).await;
    }
}
