//! The slow client's connections: small sockets, so that little is buffered where it doesn't read.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use hopline::protocol::{ChannelName, HistoryPage, ServerFrame, messages_path};
use socket2::SockRef;
use tokio::{net::TcpSocket, time::sleep};

use crate::{
    client::{Client, ClientError, Closed},
    http, scrape,
};

use super::sleeper::LOOK_EVERY;

/// A window for a few frames.
const RECEIVE_BUFFER_BYTES: u32 = 4 * 1024;
/// With segments as small as on a bad line a server's kernel buffers little, too; loopback's have 64 KiB.
const SEGMENT_BYTES: u32 = 536;

/// Where the slow client is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) channel: String,
}

impl Place {
    /// Connects and subscribes; returns the channel's last number, and whether what comes up to it follows.
    pub(super) async fn subscribe(&self, after_seq: Option<u64>) -> anyhow::Result<(Client, u64, bool)> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        SockRef::from(&socket).set_tcp_mss(SEGMENT_BYTES).context("can't ask for small segments")?;
        let stream = socket.connect(self.public).await?;
        let mut client = Client::over(stream, "slow").await?;
        client.subscribe(&self.channel, after_seq, false).await?;
        match client.next_frame().await? {
            ServerFrame::Subscribed { last_seq, recovered, .. } => Ok((client, last_seq, recovered)),
            other => bail!("the slow client's subscription was answered by {other:?}"),
        }
    }

    /// The numbers of all stored messages behind `after_seq`, as history has them.
    pub(super) async fn history(&self, after_seq: u64) -> anyhow::Result<Vec<u64>> {
        let channel: ChannelName = self.channel.parse()?;
        let url = format!("http://{}{}", self.public, messages_path(&channel));
        let client = http::client(http::ANSWER_LIMIT);
        let (mut seqs, mut next) = (Vec::new(), Some(after_seq));
        while let Some(after_seq) = next {
            let asked = client.get(&url).query(&[("after_seq", after_seq)]).send().await?;
            let page: HistoryPage = asked.error_for_status()?.json().await?;
            seqs.extend(page.messages.iter().map(|message| message.seq));
            ensure!(page.next_after_seq.is_none_or(|next| next > after_seq), "history leads nowhere");
            next = page.next_after_seq;
        }
        Ok(seqs)
    }

    /// How many clients the server has closed as slow.
    pub(super) async fn closed(&self) -> anyhow::Result<f64> {
        let client = http::client(http::ANSWER_LIMIT);
        scrape::sum(&client, &[self.admin], "hopline_connections_closed_total", "\"slow_client\"").await
    }
}

/// Looks as often as a slow client does, for the run that has none: looking costs the server something, too.
pub(crate) async fn watch(place: &Place) {
    loop {
        let _ = place.closed().await;
        sleep(LOOK_EVERY).await;
    }
}

/// The number of the next message; the connection's end, if that comes first.
pub(super) async fn next_seq(client: &mut Client) -> anyhow::Result<Result<u64, Closed>> {
    match client.next_frame().await {
        Ok(ServerFrame::Message(message)) => Ok(Ok(message.seq)),
        Ok(other) => bail!("the slow client got {other:?}"),
        Err(ClientError::Closed(closed)) => Ok(Err(closed)),
        Err(error) => Err(error.into()),
    }
}
