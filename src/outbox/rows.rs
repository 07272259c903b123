//! The outbox in PostgreSQL, and the lock that makes one server its relay.

use std::time::Duration;

use sqlx::{ConnectOptions, FromRow, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::{
    history::{HistoryError, Row},
    protocol::{Message, OriginStamps},
};

/// How long connecting, or any single answer, may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What notifications are sent to.
pub(super) const NOTIFICATIONS: &str = "outbox";

/// The first half of the lock's key; the table is the other one, so that two deployments in one database have two relays.
const LOCK_CLASS: i32 = 0x0075_7b0c;

/// PostgreSQL ends a relay's session that asked nothing for so long: its server is frozen, or gone with its network.
const IDLE_MAX: &str = "15s";

/// Rows that are counted, at most: a backlog must not cost ever more while it grows.
const COUNTED_MAX: i64 = 100_000;

type Result<T> = std::result::Result<T, HistoryError>;

/// A message that waits in the outbox.
pub(super) struct Waiting {
    pub(super) position: i64,
    pub(super) stamps: OriginStamps,
    pub(super) message: Message,
}

#[derive(FromRow)]
struct WaitingRow {
    position: i64,
    accepted_us: i64,
    queued_us: i64,
    committed_us: i64,
    #[sqlx(flatten)]
    message: Row,
}

impl TryFrom<WaitingRow> for Waiting {
    type Error = HistoryError;

    fn try_from(row: WaitingRow) -> Result<Self> {
        let [accepted_us, queued_us, committed_us] =
            [row.accepted_us, row.queued_us, row.committed_us].map(i64::cast_unsigned);
        let stamps = OriginStamps::committed(accepted_us, queued_us, committed_us);
        Ok(Self { position: row.position, stamps, message: row.message.try_into()? })
    }
}

/// How much waits.
#[derive(Default, FromRow)]
pub(super) struct Backlog {
    /// Messages, at most 100,000.
    pub(super) messages: i64,
    /// How long the oldest one has been there.
    pub(super) age_us: i64,
}

/// The relay's connection. The lock goes with it, so it is never replaced behind anyone's back: after any error there has to be
/// a new session, which has to get the lock.
pub(super) struct Session(PgConnection);

impl Session {
    /// A session without the lock.
    pub(super) async fn open(database: &PgConnectOptions) -> Result<Self> {
        let database = database.clone().options([
            // To lose the removal of what was sent is to send it twice.
            ("synchronous_commit", "off"),
            // As in append_messages: there are no statistics of a table that is nearly always empty.
            ("enable_seqscan", "off"),
            ("idle_session_timeout", IDLE_MAX),
        ]);
        Ok(Self(timeout(ANSWER_TIMEOUT, database.connect()).await??))
    }

    /// Whether the lock is this session's now. No one else gets it before the session has ended.
    pub(super) async fn try_lock(&mut self) -> Result<bool> {
        let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, 'outbox'::regclass::oid::int)")
            .bind(LOCK_CLASS)
            .fetch_one(&mut self.0);
        Ok(timeout(ANSWER_TIMEOUT, lock).await??)
    }

    /// The messages that have waited longest, in the order of their positions. Never those after a position: what was
    /// committed late would be passed over.
    pub(super) async fn oldest(&mut self, count_max: usize) -> Result<Vec<Waiting>> {
        let read = sqlx::query_as::<_, WaitingRow>(
            "SELECT o.position, o.accepted_us, o.queued_us, o.committed_us, m.*
             FROM outbox o
             CROSS JOIN LATERAL (
                 SELECT channel, seq, id, sender, client_message_id, body, accepted_at_ms, traceparent
                 FROM messages WHERE channel = o.channel AND seq = o.seq LIMIT 1
             ) m
             ORDER BY o.position LIMIT $1",
        )
        .bind(i64::try_from(count_max).unwrap_or(i64::MAX))
        .fetch_all(&mut self.0);
        timeout(ANSWER_TIMEOUT, read).await??.into_iter().map(Waiting::try_from).collect()
    }

    /// Removes what was sent.
    pub(super) async fn remove(&mut self, positions: &[i64]) -> Result<()> {
        let remove = sqlx::query("SELECT remove_from_outbox($1)").bind(positions).execute(&mut self.0);
        timeout(ANSWER_TIMEOUT, remove).await??;
        Ok(())
    }

    /// How much waits now.
    pub(super) async fn backlog(&mut self) -> Result<Backlog> {
        let look = sqlx::query_as(
            "SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) counted) AS messages,
                    coalesce((extract(epoch FROM clock_timestamp()) * 1000000)::bigint
                             - (SELECT committed_us FROM outbox ORDER BY position LIMIT 1), 0) AS age_us",
        )
        .bind(COUNTED_MAX)
        .fetch_one(&mut self.0);
        Ok(timeout(ANSWER_TIMEOUT, look).await??)
    }
}
