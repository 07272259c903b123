//! The reading of PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{
    FromRow, PgPool,
    migrate::{Migrate, MigrateError},
    postgres::PgPoolOptions,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{History, HistoryError, Range, Result};
use crate::{
    config,
    protocol::{ChannelName, Message, SenderName},
};

/// Reads that take longer fail; who asked decides whether to ask again.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Counters that are read with one statement, so that its time doesn't grow with the channels that a server watches.
const POSITIONS_AT_ONCE: usize = 8192;

/// A message as a row has it.
#[derive(FromRow)]
pub struct Row {
    channel: String,
    seq: i64,
    id: Uuid,
    sender: String,
    client_message_id: Uuid,
    body: String,
    accepted_at_ms: i64,
    traceparent: Option<String>,
}

impl TryFrom<Row> for Message {
    type Error = HistoryError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            channel: row.channel.parse()?,
            seq: row.seq.cast_unsigned(),
            id: row.id,
            sender: row.sender.parse::<SenderName>()?,
            client_message_id: row.client_message_id,
            body: row.body,
            accepted_at_ms: row.accepted_at_ms.cast_unsigned(),
            traceparent: row.traceparent,
            timing: None,
        })
    }
}

fn messages(rows: Vec<Row>) -> Result<Vec<Message>> {
    rows.into_iter().map(Message::try_from).collect()
}

/// Numbers of clients reach 2⁶⁴−1, those of PostgreSQL 2⁶³−1; no channel comes near either.
fn as_bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A pool of reading connections.
#[derive(Clone)]
pub struct Postgres {
    pool: PgPool,
}

impl Postgres {
    /// Connects on demand, so this never fails.
    pub fn new(config: &config::Database) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(config.connections_max)
            .acquire_timeout(READ_TIMEOUT)
            // A round trip a read; one that finds its connection broken fails and is repeated.
            .test_before_acquire(false)
            .connect_lazy_with(config.options.clone());
        Self { pool }
    }

    /// Connections that wait for a read, and all that are open.
    pub fn connections(&self) -> (usize, usize) {
        (self.pool.num_idle(), self.pool.size() as usize)
    }

    /// Brings the schema up to date. Servers that start at once wait for one another.
    pub async fn migrate(&self) -> std::result::Result<(), MigrateError> {
        sqlx::migrate!().run(&self.pool).await
    }

    /// Fails if the schema is older than this program. A newer one will do: what is added harms no one.
    pub async fn check_schema(&self) -> std::result::Result<(), MigrateError> {
        let migrator = sqlx::migrate!();
        let mut connection = self.pool.acquire().await?;
        let applied = connection.list_applied_migrations(&migrator.table_name).await?;
        let latest = applied.last().map_or(0, |migration| migration.version);
        let is_applied = |version, checksum: &[u8]| {
            applied.iter().any(|known| known.version == version && *known.checksum == *checksum)
        };
        match migrator.iter().find(|known| !is_applied(known.version, &known.checksum)) {
            Some(missing) if missing.version <= latest => Err(MigrateError::VersionMismatch(missing.version)),
            Some(missing) => Err(MigrateError::VersionTooNew(missing.version, latest)),
            None => Ok(()),
        }
    }

    /// Whether PostgreSQL answers.
    pub async fn ping(&self) -> Result<()> {
        timeout(READ_TIMEOUT, sqlx::query("SELECT 1").execute(&self.pool)).await??;
        Ok(())
    }
}

#[async_trait]
impl History for Postgres {
    async fn last_seq(&self, channel: &ChannelName) -> Result<u64> {
        let read = sqlx::query_scalar::<_, i64>("SELECT last_seq FROM channels WHERE name = $1")
            .bind(&**channel)
            .fetch_optional(&self.pool);
        Ok(timeout(READ_TIMEOUT, read).await??.unwrap_or(0).cast_unsigned())
    }

    async fn positions(&self, channels: &[ChannelName]) -> Result<Vec<(ChannelName, u64)>> {
        let mut positions = Vec::new();
        for channels in channels.chunks(POSITIONS_AT_ONCE) {
            let names: Vec<&str> = channels.iter().map(|channel| &**channel).collect();
            let read = sqlx::query_as::<_, (String, i64)>(
                "SELECT name, last_seq FROM channels WHERE name = ANY($1)",
            )
            .bind(names)
            .fetch_all(&self.pool);
            for (name, last_seq) in timeout(READ_TIMEOUT, read).await?? {
                positions.push((name.parse()?, last_seq.cast_unsigned()));
            }
        }
        Ok(positions)
    }

    async fn page(&self, range: Range<'_>, count_max: usize) -> Result<Vec<Message>> {
        let read = sqlx::query_as::<_, Row>(
            "SELECT channel, seq, id, sender, client_message_id, body, accepted_at_ms, traceparent
             FROM messages WHERE channel = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
        )
        .bind(&**range.channel)
        .bind(as_bigint(range.after))
        .bind(as_bigint(range.upto))
        .bind(as_bigint(count_max as u64))
        .fetch_all(&self.pool);
        messages(timeout(READ_TIMEOUT, read).await??)
    }

    async fn pages(&self, ranges: &[Range<'_>], count_max: usize) -> Result<Vec<Message>> {
        let channels: Vec<&str> = ranges.iter().map(|range| &**range.channel).collect();
        let afters: Vec<i64> = ranges.iter().map(|range| as_bigint(range.after)).collect();
        let uptos: Vec<i64> = ranges.iter().map(|range| as_bigint(range.upto)).collect();
        let read = sqlx::query_as::<_, Row>(
            "SELECT m.* FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS range (channel, after, upto)
             CROSS JOIN LATERAL (
                 SELECT channel, seq, id, sender, client_message_id, body, accepted_at_ms, traceparent
                 FROM messages
                 WHERE channel = range.channel AND seq > range.after AND seq <= range.upto
                 ORDER BY seq LIMIT $4
             ) m",
        )
        .bind(channels)
        .bind(afters)
        .bind(uptos)
        .bind(as_bigint(count_max as u64))
        .fetch_all(&self.pool);
        messages(timeout(READ_TIMEOUT, read).await??)
    }
}
