//! The schema at the start: brought up to date by whoever owns it, looked at by a server that does not.

use std::{io, time::Duration};

use sqlx::migrate::MigrateError;
use tokio::time::sleep;

use crate::{config, history::History};

/// Attempts to reach PostgreSQL, one a second.
const ATTEMPTS: u32 = 30;

/// Why there is no schema to work with.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// PostgreSQL can't be reached or does not let this program in, or its schema can't be brought up to date.
    #[error("can't prepare the database: {0}")]
    Migrate(MigrateError),
    /// The schema is not there, is older than this program, or may not be looked at.
    #[error("the schema is not ready: {0}; run `hopline migrate` as the role that owns it")]
    Check(MigrateError),
}

/// `hopline migrate`: brings the schema up to date.
pub async fn migrate(config: &config::Database) -> Result<(), SchemaError> {
    prepare(&History::new(config), true).await
}

/// Brings the schema up to date or, if that is someone else's, fails unless they have. The database may still be
/// starting.
pub async fn prepare(history: &History, may_migrate: bool) -> Result<(), SchemaError> {
    if may_migrate {
        once_started(async || history.migrate().await).await.map_err(SchemaError::Migrate)
    } else {
        let checked = once_started(async || history.check_schema().await).await;
        checked.map_err(
            |error| if is_missing(&error) { SchemaError::Check } else { SchemaError::Migrate }(error),
        )
    }
}

/// Whether the schema, or what is there of it, is the reason: a wrong password or certificate is another one.
fn is_missing(error: &MigrateError) -> bool {
    match error {
        MigrateError::Execute(sqlx::Error::Database(error)) => {
            error.code().is_some_and(|code| code.starts_with("42"))
        }
        MigrateError::Execute(_) => false,
        _ => true,
    }
}

/// Waits for a database that is still starting; any other failure is final.
async fn once_started(attempt: impl AsyncFn() -> Result<(), MigrateError>) -> Result<(), MigrateError> {
    for number in 1.. {
        match attempt().await {
            Err(MigrateError::Execute(error)) if number < ATTEMPTS && is_starting(&error) => {
                tracing::warn!(%error, number, "PostgreSQL is not ready; trying again");
                sleep(Duration::from_secs(1)).await;
            }
            done => return done,
        }
    }
    Ok(())
}

/// Whether PostgreSQL doesn't listen yet, or says that it isn't ready (`cannot_connect_now`). A certificate that is
/// not believed is invalid data, and stays it.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        sqlx::Error::Database(error) => error.code().as_deref() == Some("57P03"),
        other => matches!(other, sqlx::Error::PoolTimedOut),
    }
}
