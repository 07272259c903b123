//! Both ends of a WebSocket without a network.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::extract::ws::Message;
use futures_util::{Sink, SinkExt, Stream};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

/// Frames that are under way in each direction.
const FRAMES_MAX: usize = 8;

/// The server's end.
pub(crate) struct Socket {
    incoming: mpsc::Receiver<Message>,
    outgoing: PollSender<Message>,
}

/// The client's end. When it is dropped, the connection is gone.
pub(crate) struct ClientEnd {
    pub(crate) outgoing: mpsc::Sender<Message>,
    pub(crate) incoming: mpsc::Receiver<Message>,
}

pub(crate) fn pair() -> (Socket, ClientEnd) {
    let (to_server, from_client) = mpsc::channel(FRAMES_MAX);
    let (to_client, from_server) = mpsc::channel(FRAMES_MAX);
    let socket = Socket { incoming: from_client, outgoing: PollSender::new(to_client) };
    (socket, ClientEnd { outgoing: to_server, incoming: from_server })
}

impl Stream for Socket {
    type Item = Result<Message, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

impl Sink<Message> for Socket {
    type Error = axum::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        self.outgoing.poll_ready_unpin(cx).map_err(axum::Error::new)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Message) -> Result<(), axum::Error> {
        self.outgoing.start_send_unpin(frame).map_err(axum::Error::new)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        self.outgoing.poll_flush_unpin(cx).map_err(axum::Error::new)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        self.outgoing.poll_close_unpin(cx).map_err(axum::Error::new)
    }
}
