//! A WebSocket client of a server, for the load generator and for tests.

mod error;
mod tls;

use std::{net::SocketAddr, time::Duration};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hopline::protocol::{ClientFrame, Limits, SenderName, ServerFrame, Token, WEBSOCKET_PATH};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        handshake::client::Request,
        http::{HeaderValue, header::AUTHORIZATION},
        protocol::WebSocketConfig,
    },
};
use uuid::Uuid;

pub use error::{ClientError, Closed};
use error::{broken, closed_by, refusal};
pub use tls::Tls;
pub use tokio_tungstenite::tungstenite::{Message as RawMessage, Utf8Bytes};

/// How long connecting may take, up to and including the server's `hello`.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// Resident for each connection: tungstenite's own default of 128 KiB would dwarf everything else.
const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Above any server's frame limit, so that tests can exceed that.
const WRITE_BUFFER_BYTES_MAX: usize = 16 * 1024 * 1024;
const FRAME_BYTES_MAX: usize = 1024 * 1024;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a server says when a client connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The server's name.
    pub node: String,
    /// The connection's identity in the server's log.
    pub session: Uuid,
    /// Who the client's messages will be from.
    pub sender: SenderName,
    /// What the server accepts.
    pub limits: Limits,
    /// When the server ends the connection: Unix time, in milliseconds; never without a token.
    pub expires_at_ms: Option<u64>,
}

/// A connected client.
#[derive(Debug)]
pub struct Client {
    hello: Hello,
    sender: Sender,
    receiver: Receiver,
}

/// The sending half of a client.
#[derive(Debug)]
pub struct Sender(SplitSink<Socket, Message>);

/// The receiving half of a client. Pings are answered while it is polled.
#[derive(Debug)]
pub struct Receiver(SplitStream<Socket>);

impl Client {
    /// Connects and waits for the server's `hello`. The sender's name goes into the URL as it is.
    pub async fn connect(addr: SocketAddr, sender: &str) -> Result<Self, ClientError> {
        Self::connect_by(addr, named(addr, sender)?).await
    }

    /// Connects with a token, which names the sender; or, if there is none, under a name.
    pub async fn connect_as(
        addr: SocketAddr,
        sender: &str,
        token: Option<&Token>,
    ) -> Result<Self, ClientError> {
        let Some(Token(token)) = token else {
            return Self::connect(addr, sender).await;
        };
        let mut request = request(addr, format!("ws://{addr}{WEBSOCKET_PATH}"))?;
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let not_a_header =
            |_| ClientError::Connect { addr, reason: "the token can't stand in a header".to_owned() };
        request.headers_mut().insert(AUTHORIZATION, value.map_err(not_a_header)?);
        Self::connect_by(addr, request).await
    }

    /// Connects over TLS, if the server shows a certificate that is believed.
    pub async fn connect_tls(addr: SocketAddr, sender: &str, tls: &Tls) -> Result<Self, ClientError> {
        let url = format!("{}{WEBSOCKET_PATH}?sender={sender}", tls.base_url(addr));
        Self::connect_within_limit(addr, request(addr, url)?, Some(tls)).await
    }

    /// Connects by any request.
    pub async fn connect_by(addr: SocketAddr, request: Request) -> Result<Self, ClientError> {
        Self::connect_within_limit(addr, request, None).await
    }

    async fn connect_within_limit(
        addr: SocketAddr,
        request: Request,
        tls: Option<&Tls>,
    ) -> Result<Self, ClientError> {
        let failed = |reason: String| ClientError::Connect { addr, reason };
        let connecting = Box::pin(async {
            let stream = TcpStream::connect(addr).await.map_err(|error| failed(error.to_string()))?;
            Self::introduce(stream, addr, request, tls).await
        });
        timeout(CONNECT_LIMIT, connecting)
            .await
            .map_err(|_| failed(format!("no hello within {CONNECT_LIMIT:?}")))?
    }

    /// As [`Self::connect`], over a connection that stands, however long it takes.
    pub async fn over(stream: TcpStream, sender: &str) -> Result<Self, ClientError> {
        let no_peer =
            |error: std::io::Error| ClientError::Closed(Closed { code: None, reason: error.to_string() });
        let addr = stream.peer_addr().map_err(no_peer)?;
        Self::introduce(stream, addr, named(addr, sender)?, None).await
    }

    async fn introduce(
        stream: TcpStream,
        addr: SocketAddr,
        request: Request,
        tls: Option<&Tls>,
    ) -> Result<Self, ClientError> {
        let failed = |reason: String| ClientError::Connect { addr, reason };
        stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        let connector = tls.map(Tls::connector);
        let (socket, _) = client_async_tls_with_config(request, stream, Some(config()), connector)
            .await
            .map_err(|error| refusal(addr, error))?;
        let (sink, stream) = socket.split();
        let (sender, mut receiver) = (Sender(sink), Receiver(stream));
        match receiver.next_frame().await? {
            ServerFrame::Hello { node, session, sender: name, limits, expires_at_ms, .. } => {
                let hello = Hello { node, session, sender: name, limits, expires_at_ms };
                Ok(Self { hello, sender, receiver })
            }
            other => Err(failed(format!("the first frame wasn't hello but {other:?}"))),
        }
    }

    /// What the server said at the start.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Both halves, to be used by different tasks.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// See [`Sender::subscribe`].
    pub async fn subscribe(
        &mut self,
        channel: &str,
        after_seq: Option<u64>,
        timing: bool,
    ) -> Result<(), ClientError> {
        self.sender.subscribe(channel, after_seq, timing).await
    }

    /// See [`Sender::publish`].
    pub async fn publish(&mut self, channel: &str, id: Uuid, body: &str) -> Result<(), ClientError> {
        self.sender.publish(channel, id, body).await
    }

    /// See [`Sender::send`].
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<(), ClientError> {
        self.sender.send(frame).await
    }

    /// See [`Sender::send_text`].
    pub async fn send_text(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), ClientError> {
        self.sender.send_text(text).await
    }

    /// See [`Sender::send_raw`].
    pub async fn send_raw(&mut self, message: RawMessage) -> Result<(), ClientError> {
        self.sender.send_raw(message).await
    }

    /// See [`Receiver::next_frame`].
    pub async fn next_frame(&mut self) -> Result<ServerFrame, ClientError> {
        self.receiver.next_frame().await
    }

    /// See [`Receiver::closed`].
    pub async fn closed(&mut self) -> Closed {
        self.receiver.closed().await
    }
}

impl Sender {
    /// Asks for a channel's messages, without waiting for the answer.
    pub async fn subscribe(
        &mut self,
        channel: &str,
        after_seq: Option<u64>,
        timing: bool,
    ) -> Result<(), ClientError> {
        let channel = channel.to_owned();
        self.send(&ClientFrame::Subscribe { channel, after_seq, timing }).await
    }

    /// Publishes a message, without waiting for the answer.
    pub async fn publish(&mut self, channel: &str, id: Uuid, body: &str) -> Result<(), ClientError> {
        self.send(&ClientFrame::Publish {
            channel: channel.to_owned(),
            client_message_id: id,
            body: body.to_owned(),
            traceparent: None,
        })
        .await
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<(), ClientError> {
        self.send_text(text_of(frame)).await
    }

    /// Sends any text, also such that isn't a frame of the protocol.
    pub async fn send_text(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), ClientError> {
        self.send_raw(Message::Text(text.into())).await
    }

    /// Sends any WebSocket message: binary ones, pings, close frames.
    pub async fn send_raw(&mut self, message: RawMessage) -> Result<(), ClientError> {
        self.0.send(message).await.map_err(|error| broken(&error))
    }

    /// Queues a frame; it leaves with the next [`Self::flush`] or when the buffer is full.
    pub async fn feed(&mut self, frame: &ClientFrame) -> Result<(), ClientError> {
        self.0.feed(Message::Text(text_of(frame).into())).await.map_err(|error| broken(&error))
    }

    /// Writes everything that was queued to the socket.
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        self.0.flush().await.map_err(|error| broken(&error))
    }
}

impl Receiver {
    /// The server's next frame.
    pub async fn next_frame(&mut self) -> Result<ServerFrame, ClientError> {
        let text = self.next_text().await?;
        serde_json::from_str(&text)
            .map_err(|error| ClientError::Unreadable { text: text.to_string(), error: error.to_string() })
    }

    /// The text of the server's next frame, unparsed.
    pub async fn next_text(&mut self) -> Result<Utf8Bytes, ClientError> {
        loop {
            match self.next_raw().await? {
                Message::Text(text) => return Ok(text),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Binary(bytes) => {
                    return Err(ClientError::Unreadable {
                        text: format!("{} bytes", bytes.len()),
                        error: "a binary frame".to_owned(),
                    });
                }
                Message::Close(frame) => return Err(ClientError::Closed(closed_by(frame))),
            }
        }
    }

    /// The next WebSocket message of any kind, pings among them.
    pub async fn next_raw(&mut self) -> Result<RawMessage, ClientError> {
        match self.0.next().await {
            Some(message) => message.map_err(|error| broken(&error)),
            None => Err(broken(&Error::ConnectionClosed)),
        }
    }

    /// Reads on, whatever comes, until the connection ends; says how.
    pub async fn closed(&mut self) -> Closed {
        loop {
            if let Err(ClientError::Closed(closed)) = self.next_text().await {
                return closed;
            }
        }
    }
}

fn named(addr: SocketAddr, sender: &str) -> Result<Request, ClientError> {
    request(addr, format!("ws://{addr}{WEBSOCKET_PATH}?sender={sender}"))
}

fn request(addr: SocketAddr, url: String) -> Result<Request, ClientError> {
    url.into_client_request().map_err(|error| ClientError::Connect { addr, reason: error.to_string() })
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}

fn text_of(frame: &ClientFrame) -> String {
    serde_json::to_string(frame).expect("frames have string keys only")
}
