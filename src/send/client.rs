//! A client's queue, and the task that writes it to the socket.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, Utf8Bytes},
};
use futures_util::{Sink, SinkExt};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    times::{self, Ticket},
    waiting::{Frame, Waiting},
};
use crate::{
    fault::Hold,
    hop::Hop,
    protocol::CloseCode,
    telemetry::{labels::DropReason, metrics::metrics},
};

/// Frames that are written together, with one flush.
const COALESCED_MAX: usize = 64;

/// How long the close frame may take: the socket of a slow client is full.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What waits for a client's socket.
pub enum Outgoing {
    /// A frame.
    Frame(Frame),
    /// A channel's message, whose way to the socket is timed.
    Timed(Frame, Ticket),
    /// A WebSocket ping.
    Ping,
    /// The end, after all that was queued before.
    Close(CloseCode),
}

/// Whom to send to. Clones are the same client.
#[derive(Clone)]
pub struct Client {
    /// The connection's identity.
    pub session: Uuid,
    queue: mpsc::Sender<Outgoing>,
    taken: Arc<Notify>,
    waiting: Waiting,
    cut_off: Arc<CutOff>,
}

#[derive(Default)]
struct CutOff {
    code: OnceLock<CloseCode>,
    signal: CancellationToken,
}

/// The reading end of a client's queue, for [`write()`].
pub struct ClientQueue {
    queue: mpsc::Receiver<Outgoing>,
    /// Tells that something was taken from the queue.
    taken: Arc<Notify>,
    cut_off: Arc<CutOff>,
}

impl Client {
    /// A client whose queue holds at most `queue_max` frames, and fewer if too much waits for all clients.
    pub fn new(session: Uuid, queue_max: usize, waiting: Waiting) -> (Self, ClientQueue) {
        let (sender, queue) = mpsc::channel(queue_max);
        let (taken, cut_off) = (Arc::new(Notify::new()), Arc::new(CutOff::default()));
        let reading = ClientQueue { queue, taken: taken.clone(), cut_off: cut_off.clone() };
        (Self { session, queue: sender, taken, waiting, cut_off }, reading)
    }

    /// Queues a frame of this client's own.
    pub fn send(&self, text: Utf8Bytes) {
        self.push(Outgoing::Frame(self.waiting.frame(text)));
    }

    /// Queues what is to be sent. If there is no room the client is too slow, and its connection is closed.
    pub fn push(&self, outgoing: Outgoing) {
        if self.hoards() || matches!(self.queue.try_send(outgoing), Err(mpsc::error::TrySendError::Full(_))) {
            metrics().dropped.of(DropReason::SlowClient).increment(1);
            self.cut_off(CloseCode::SlowClient);
        }
    }

    /// Whether more waits for all clients than may, and for this one more than goes with one write.
    fn hoards(&self) -> bool {
        self.waiting.is_too_much() && self.queue.max_capacity() - self.queue.capacity() > COALESCED_MAX
    }

    /// Whether the queue takes so many frames more.
    pub fn has_room_for(&self, frames: usize) -> bool {
        self.queue.capacity() >= frames
    }

    /// Returns when it does; one caller at a time. It takes no place meanwhile: a message that came would find none, and the
    /// client be taken for a slow one.
    pub async fn room_for(&self, frames: usize) {
        while !self.has_room_for(frames) {
            self.taken.notified().await;
        }
    }

    /// Closes the connection at once, without what is queued. The first reason stands.
    pub fn cut_off(&self, code: CloseCode) {
        if self.cut_off.code.set(code).is_ok() {
            self.cut_off.signal.cancel();
        }
    }
}

/// Writes a client's queue to its socket until the connection ends.
pub async fn write<S>(mut socket: S, mut client: ClientQueue)
where
    S: Sink<Message, Error = axum::Error> + Unpin,
{
    let code = tokio::select! {
        biased;
        () = client.cut_off.signal.cancelled() => client.cut_off.code.get().copied(),
        code = write_queue(&mut socket, &mut client.queue, &client.taken) => code,
    };
    if let Some(code) = code {
        metrics().connections_closed.of(code).increment(1);
        let frame = CloseFrame { code: code.number(), reason: Utf8Bytes::from_static(code.as_str()) };
        // The client may have gone, or its socket may be full: the connection ends either way.
        let _ = timeout(CLOSE_TIMEOUT, socket.send(Message::Close(Some(frame)))).await;
    }
}

/// Returns the code that was queued, or nothing when the socket or the queue is closed.
async fn write_queue<S>(
    socket: &mut S,
    queue: &mut mpsc::Receiver<Outgoing>,
    taken: &Notify,
) -> Option<CloseCode>
where
    S: Sink<Message, Error = axum::Error> + Unpin,
{
    let mut batch = Vec::new();
    let mut tickets = Vec::new();
    let mut hold = Hold::new(Hop::Send);
    while queue.recv_many(&mut batch, COALESCED_MAX).await > 0 {
        taken.notify_one();
        for outgoing in batch.drain(..) {
            let frame = match outgoing {
                Outgoing::Frame(frame) => Message::Text(frame.text()),
                Outgoing::Timed(frame, ticket) => {
                    if hold.is_on() {
                        socket.flush().await.ok()?;
                        times::written(tickets.drain(..));
                        let stay = hold.begin(ticket.handed_us());
                        hold.until_over(stay).await;
                    }
                    tickets.push(ticket);
                    Message::Text(frame.text())
                }
                Outgoing::Ping => Message::Ping(Bytes::new()),
                Outgoing::Close(code) => return Some(code),
            };
            socket.feed(frame).await.ok()?;
        }
        socket.flush().await.ok()?;
        times::written(tickets.drain(..));
    }
    None
}
