//! A wire between the load generator and a server that does, once, what a server must never do.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::{SinkExt, StreamExt};
use hopline::protocol::{Ack, ClientFrame, Message, ServerFrame, WEBSOCKET_PATH};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    accept_hdr_async, client_async,
    tungstenite::{
        Message as Frame,
        handshake::server::{Request, Response},
    },
};
use uuid::Uuid;

/// The first messages pass, so that what follows has something to be compared with.
const PASS_FIRST: u64 = 5;
/// Far above the numbers that a test's channels reach.
const FORGED_SEQ: u64 = 10_000;

/// What is done to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tampering {
    /// It comes twice.
    Repeat,
    /// It comes after its successor.
    Swap,
    /// It does not come.
    Drop,
    /// It comes with another text.
    Change,
    /// It is acknowledged and never reaches the server.
    Forge,
}

/// A running wire.
pub(crate) struct Wire {
    addr: SocketAddr,
    done: Arc<Done>,
}

/// The message that was tampered with: its channel and its number.
#[derive(Default)]
struct Done(Mutex<Option<(String, u64)>>);

impl Done {
    /// Whether this is the first one.
    fn claim(&self, channel: &str, seq: u64) -> bool {
        let mut done = self.0.lock().unwrap();
        let is_first = done.is_none();
        done.get_or_insert_with(|| (channel.to_owned(), seq));
        is_first
    }
}

impl Wire {
    pub(crate) async fn to(server: SocketAddr, tampering: Tampering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let done = Arc::new(Done::default());
        let wire = Self { addr, done: done.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, tampering, done.clone()));
            }
        });
        wire
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The channel and the number of the message that was tampered with.
    pub(crate) fn victim(&self) -> (String, u64) {
        self.done.0.lock().unwrap().clone().expect("a message was tampered with")
    }
}

async fn relay(mut client: TcpStream, server: SocketAddr, tampering: Tampering, done: Arc<Done>) {
    let mut upstream = TcpStream::connect(server).await.unwrap();
    let start = format!("GET {WEBSOCKET_PATH}");
    let mut head = vec![0; start.len()];
    let is_websocket =
        matches!(client.peek(&mut head).await, Ok(count) if head[..count] == *start.as_bytes());
    if !is_websocket {
        let _ = copy_bidirectional(&mut client, &mut upstream).await;
        return;
    }
    let mut url = String::new();
    #[expect(clippy::result_large_err, reason = "tungstenite's own signature")]
    let note = |request: &Request, response: Response| {
        url = format!("ws://{server}{}", request.uri());
        Ok(response)
    };
    let client = accept_hdr_async(client, note).await.unwrap();
    let (upstream, _) = client_async(url, upstream).await.unwrap();
    let (mut to_client, mut from_client) = client.split();
    let (mut to_server, mut from_server) = upstream.split();
    let mut overtaken = None;
    loop {
        tokio::select! {
            Some(Ok(frame)) = from_client.next() => {
                let sent = match forged(&frame, tampering, &done) {
                    Some(ack) => to_client.send(ack).await,
                    None => to_server.send(frame).await,
                };
                if sent.is_err() { return }
            }
            Some(Ok(frame)) = from_server.next() => {
                for frame in tampered(frame, tampering, &done, &mut overtaken) {
                    if to_client.send(frame).await.is_err() { return }
                }
            }
            else => return,
        }
    }
}

/// The acknowledgement of a publish that goes no further.
fn forged(frame: &Frame, tampering: Tampering, done: &Done) -> Option<Frame> {
    let Frame::Text(text) = frame else { return None };
    let Ok(ClientFrame::Publish { channel, client_message_id, .. }) = serde_json::from_str(text) else {
        return None;
    };
    let is_chosen = tampering == Tampering::Forge && done.claim(&channel, FORGED_SEQ);
    let channel = channel.parse().unwrap();
    let ack = Ack { channel, seq: FORGED_SEQ, id: Uuid::now_v7(), client_message_id, repeated: false };
    is_chosen.then(|| text_of(&ServerFrame::Ack(ack)))
}

/// What a client gets in place of a frame. `held` is what its successor overtakes.
fn tampered(frame: Frame, tampering: Tampering, done: &Done, held: &mut Option<Frame>) -> Vec<Frame> {
    let Some(message) = message_in(&frame).filter(|message| message.seq > PASS_FIRST) else {
        return vec![frame];
    };
    if let Some(held) = held.take() {
        return vec![frame, held];
    }
    if tampering == Tampering::Forge || !done.claim(&message.channel, message.seq) {
        return vec![frame];
    }
    match tampering {
        Tampering::Repeat => vec![frame.clone(), frame],
        Tampering::Swap => {
            *held = Some(frame);
            Vec::new()
        }
        Tampering::Change => {
            vec![text_of(&ServerFrame::Message(Message { body: "another".into(), ..message }))]
        }
        Tampering::Drop | Tampering::Forge => Vec::new(),
    }
}

fn message_in(frame: &Frame) -> Option<Message> {
    let Frame::Text(text) = frame else { return None };
    match serde_json::from_str(text).ok()? {
        ServerFrame::Message(message) => Some(message),
        _ => None,
    }
}

fn text_of(frame: &ServerFrame) -> Frame {
    Frame::Text(serde_json::to_string(frame).unwrap().into())
}
