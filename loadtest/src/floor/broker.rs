//! Redis alone.

use anyhow::Context;
use futures_util::StreamExt;
use redis::AsyncCommands;
use tokio::{sync::mpsc, time::Instant};

use super::{Effort, Timer, each_operation};
use crate::latency::Summary;

const TOPIC: &str = "floor";

/// A publish on one connection until a subscriber on another one has it.
pub(super) async fn measure(url: &str, effort: Effort) -> anyhow::Result<Summary> {
    let client = redis::Client::open(url)?;
    let mut publisher = client.get_multiplexed_async_connection().await?;
    let mut subscriber = client.get_async_pubsub().await?;
    subscriber.subscribe(TOPIC).await?;
    // The publish's reply and the message arrive in any order: a task of its own notes when the latter does.
    let (arrived, mut arrivals) = mpsc::channel(1);
    let listener = tokio::spawn(async move {
        let mut messages = subscriber.into_on_message();
        while messages.next().await.is_some() && arrived.send(Instant::now()).await.is_ok() {}
    });
    let body = vec![b'x'; effort.body_bytes];
    let mut timer = Timer::new();
    let measured = each_operation(effort, async || {
        let start = Instant::now();
        let _: i64 = publisher.publish(TOPIC, &body).await?;
        timer.record(start, arrivals.recv().await.context("the subscription to Redis ended")?);
        Ok(())
    })
    .await;
    listener.abort();
    measured?;
    Ok(timer.summary())
}
