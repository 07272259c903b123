//! WebSockets alone.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{Message, Utf8Bytes},
};

use super::{Effort, Timer, each_operation};
use crate::latency::Summary;

/// One text to all recipients, one after the other: until the last socket took it, and until the last one has read it.
pub(super) async fn measure(effort: Effort) -> anyhow::Result<(Summary, Summary)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let (arrived, mut arrivals) = mpsc::channel(effort.recipients);
    let (mut sockets, mut readers) = (Vec::new(), JoinSet::new());
    for _ in 0..effort.recipients {
        let (served, client) = tokio::join!(accept(&listener), connect(addr));
        sockets.push(served?);
        let (mut client, arrived) = (client?, arrived.clone());
        readers.spawn(async move {
            while let Some(Ok(_)) = client.next().await {
                if arrived.send(Instant::now()).await.is_err() {
                    return;
                }
            }
        });
    }
    let body = Utf8Bytes::from("x".repeat(effort.body_bytes));
    let (mut written, mut read) = (Timer::new(), Timer::new());
    each_operation(effort, async || {
        let start = Instant::now();
        for socket in &mut sockets {
            socket.send(Message::Text(body.clone())).await?;
        }
        written.record(start, Instant::now());
        let mut last = start;
        for _ in 0..effort.recipients {
            last = last.max(arrivals.recv().await.context("a WebSocket ended")?);
        }
        read.record(start, last);
        Ok(())
    })
    .await?;
    Ok((written.summary(), read.summary()))
}

async fn accept(listener: &TcpListener) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(accept_async(stream).await?)
}

async fn connect(addr: SocketAddr) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    Ok(client_async(format!("ws://{addr}/"), stream).await?.0)
}
