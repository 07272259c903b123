//! The one statement of the group commit, and how it can fail.

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::Draft;

/// What `append_messages` answers for one message.
#[derive(FromRow)]
pub(super) struct Placed {
    pub(super) seq: i64,
    pub(super) id: Uuid,
    pub(super) accepted_at_ms: i64,
    pub(super) repeated: bool,
    pub(super) conflict: bool,
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

/// Appends a batch in one round trip: the statement is its own transaction. Answers in the batch's order.
pub(super) async fn append(connection: &mut PgConnection, batch: &[Draft]) -> Result<Vec<Placed>, Failure> {
    let placed = sqlx::query_as::<_, Placed>(
        "SELECT seq, id, accepted_at_ms, repeated, conflict FROM append_messages($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(column(batch, |draft| &*draft.channel))
    .bind(column(batch, |draft| &*draft.sender))
    .bind(column(batch, |draft| draft.client_message_id))
    .bind(column(batch, |draft| draft.id))
    .bind(column(batch, |draft| draft.body.as_str()))
    .bind(column(batch, |draft| (draft.accepted_us / 1000).cast_signed()))
    .bind(column(batch, |draft| draft.traceparent.as_deref()))
    .fetch_all(connection)
    .await?;
    Ok(placed)
}

fn column<'a, T>(batch: &'a [Draft], value: impl Fn(&'a Draft) -> T) -> Vec<T> {
    batch.iter().map(value).collect()
}
