//! The one statement of the group commit, and how it can fail.

use std::time::Duration;

use sqlx::{Connection as _, FromRow, PgConnection};
use tokio::time::sleep;
use uuid::Uuid;

use super::Draft;
use crate::protocol::Ack;

/// How long a COMMIT follows its answers, where a fault has them leave early.
const EARLY: Duration = Duration::from_millis(50);

/// What `append_messages` answers for one message.
#[derive(FromRow)]
pub(super) struct Placed {
    pub(super) seq: i64,
    pub(super) id: Uuid,
    pub(super) accepted_at_ms: i64,
    pub(super) repeated: bool,
    pub(super) conflict: bool,
}

impl Placed {
    /// What the publisher is told.
    pub(super) fn ack(&self, draft: &Draft) -> Ack {
        Ack {
            channel: draft.channel.clone(),
            seq: self.seq.cast_unsigned(),
            id: self.id,
            client_message_id: draft.client_message_id,
            repeated: self.repeated,
        }
    }
}

/// How a batch failed.
pub(super) enum Failure {
    /// A row was refused by PostgreSQL; none was stored.
    Data,
    /// PostgreSQL asks to send it again.
    Contention,
    /// The connection broke or was too slow; what became of the batch is unknown.
    Connection,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let Some(code) =
            error.as_database_error().and_then(|error| error.code().map(|code| code.to_string()))
        else {
            tracing::warn!(%error, "lost PostgreSQL while committing");
            return Self::Connection;
        };
        tracing::warn!(%error, %code, "PostgreSQL refused a batch");
        match code.as_str() {
            "40001" | "40P01" => Self::Contention,
            // Data exceptions, violated constraints, exceeded limits: the same again next time.
            code if ["22", "23", "54"].contains(&&code[..2]) => Self::Data,
            _ => Self::Connection,
        }
    }
}

/// The function of the database that appends a batch.
pub(super) const fn procedure(to_outbox: bool) -> &'static str {
    if to_outbox { "append_messages_to_outbox" } else { "append_messages" }
}

/// Appends a batch in one round trip: the statement is its own transaction. Answers in the batch's order.
pub(super) async fn append(
    connection: &mut PgConnection,
    batch: &[Draft],
    to_outbox: bool,
) -> Result<Vec<Placed>, Failure> {
    let append = sqlx::query_as::<_, Placed>(if to_outbox {
        "SELECT seq, id, accepted_at_ms, repeated, conflict
         FROM append_messages_to_outbox($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    } else {
        "SELECT seq, id, accepted_at_ms, repeated, conflict FROM append_messages($1, $2, $3, $4, $5, $6, $7)"
    })
    .bind(column(batch, |draft| &*draft.channel))
    .bind(column(batch, |draft| &*draft.sender))
    .bind(column(batch, |draft| draft.client_message_id))
    .bind(column(batch, |draft| draft.id))
    .bind(column(batch, |draft| draft.body.as_str()))
    .bind(column(batch, |draft| (draft.accepted_us / 1000).cast_signed()))
    .bind(column(batch, |draft| draft.traceparent.as_deref()));
    let append = if to_outbox {
        append
            .bind(column(batch, |draft| draft.accepted_us.cast_signed()))
            .bind(column(batch, |draft| draft.queued_us.cast_signed()))
    } else {
        append
    };
    Ok(append.fetch_all(connection).await?)
}

/// The same with the answers before the COMMIT: the fault that the order of the two is there to prevent.
pub(super) async fn append_answering_early(
    connection: &mut PgConnection,
    batch: &mut [Draft],
    to_outbox: bool,
) -> Result<Vec<Placed>, Failure> {
    let mut transaction = connection.begin().await?;
    let placed = append(&mut transaction, batch, to_outbox).await?;
    for (draft, placed) in batch.iter_mut().zip(&placed).filter(|(_, placed)| !placed.conflict) {
        draft.answer(placed.ack(draft));
    }
    sleep(EARLY).await;
    transaction.commit().await?;
    Ok(placed)
}

fn column<'a, T>(batch: &'a [Draft], value: impl Fn(&'a Draft) -> T) -> Vec<T> {
    batch.iter().map(value).collect()
}
