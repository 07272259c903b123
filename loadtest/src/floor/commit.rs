//! PostgreSQL alone.

use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use super::{Effort, Timer, each_operation};
use crate::latency::Summary;

/// A row is inserted and committed; the client waits until it is on disk.
pub(super) async fn measure(url: &str, effort: Effort) -> anyhow::Result<Summary> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query("SET synchronous_commit = on").execute(&mut connection).await?;
    sqlx::query("CREATE TABLE floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)")
        .execute(&mut connection)
        .await?;
    let body = "x".repeat(effort.body_bytes);
    let mut timer = Timer::new();
    each_operation(effort, async || {
        let start = Instant::now();
        sqlx::query("INSERT INTO floor (body) VALUES ($1)").bind(&body).execute(&mut connection).await?;
        timer.record(start, Instant::now());
        Ok(())
    })
    .await?;
    sqlx::query("DROP TABLE floor").execute(&mut connection).await?;
    connection.close().await?;
    Ok(timer.summary())
}
