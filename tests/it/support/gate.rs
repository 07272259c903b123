//! A gate in front of Redis: while it is shut, what the server sends stays where it is.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A TCP proxy that can hold back the bytes towards its target.
pub(crate) struct Gate {
    url: String,
    open: watch::Sender<bool>,
}

impl Gate {
    /// An open gate in front of the Redis of `url`.
    pub(crate) async fn before(url: &str) -> Self {
        let (credentials, address) = url.strip_prefix("redis://").unwrap().split_once('@').unwrap();
        let target: SocketAddr = address.trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, is_open) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(target).await.unwrap();
                tokio::spawn(relay(client, server, is_open.clone()));
            }
        });
        Self { url: format!("redis://{credentials}@{address}/"), open }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn shut(&self) {
        self.open.send_replace(false);
    }
}

async fn relay(client: TcpStream, server: TcpStream, mut is_open: watch::Receiver<bool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        let opened = is_open.wait_for(|open| *open).await.is_ok();
        if !opened || to_server.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
