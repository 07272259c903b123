//! What clients and servers say to one another, version 1. `docs/PROTOCOL.md` explains it with examples,
//! which the tests compare with these types.

mod error;
mod name;
mod partition;

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use error::{CloseCode, ErrorCode, ProtocolError};
pub use name::{ChannelName, InvalidName, NAME_MAX_BYTES, SenderName};
pub use partition::crc16;

use crate::hop::Origin;

/// The protocol's version, in `hello` and in the paths.
pub const VERSION: u32 = 1;

/// The WebSocket endpoint's path.
pub const WEBSOCKET_PATH: &str = "/v1/ws";

/// The WebSocket subprotocol that a client may offer and the server then confirms.
pub const SUBPROTOCOL: &str = "hopline.v1";

/// What stands before a token that is offered as a subprotocol. The server never confirms it.
pub const TOKEN_SUBPROTOCOL: &str = "hopline.token.";

/// The HTTP path of a channel's messages: GET pages through them, POST publishes one.
pub fn messages_path(channel: &ChannelName) -> String {
    format!("/v1/channels/{channel}/messages")
}

/// A frame from a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientFrame {
    /// Asks for a channel's messages. Answered by `subscribed`, then by the messages themselves.
    Subscribe {
        /// The channel's name.
        channel: String,
        /// Everything after this number is wanted; without it, everything after the answer's `last_seq`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_seq: Option<u64>,
        /// Whether messages shall carry [`Timing`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        timing: bool,
    },
    /// Ends a subscription. Answered by `unsubscribed`.
    Unsubscribe {
        /// The channel's name.
        channel: String,
    },
    /// Publishes a message. Answered by `ack`, once it has been committed.
    Publish {
        /// The channel's name.
        channel: String,
        /// Chosen by the client, the same when it retries: at most one message comes of it.
        client_message_id: Uuid,
        /// The text.
        body: String,
        /// W3C Trace Context of the client's own span.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
    },
    /// Brings a token: as the first frame, answered by `hello`, or later, to renew the one before, answered by
    /// `authenticated`.
    Authenticate {
        /// A JWT.
        token: Token,
    },
    /// Asks for a `pong`, for clients that can't send WebSocket pings.
    Ping {},
}

/// A token as a client sends it. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A frame from a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The first frame of every connection.
    Hello {
        /// The protocol's version.
        protocol: u32,
        /// The server's name.
        node: String,
        /// This connection's identity, for logs.
        session: Uuid,
        /// Who the client's messages will be from.
        sender: SenderName,
        /// What the server accepts.
        limits: Limits,
        /// When the server ends the connection, unless its token is renewed: Unix time, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at_ms: Option<u64>,
    },
    /// The new token holds from now on, and what it allows.
    Authenticated {
        /// See `hello`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at_ms: Option<u64>,
    },
    /// The subscription stands. What the channel holds after it follows, in order and gapless.
    Subscribed {
        /// The channel's name.
        channel: ChannelName,
        /// The channel's last sequence number at this moment; 0 before its first message.
        last_seq: u64,
        /// Whether all messages after `after_seq` follow. If not, only those after `last_seq` do,
        /// and `history` says where the others are.
        recovered: bool,
        /// Where to page through what wasn't recovered: a path on the same server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        history: Option<String>,
    },
    /// The subscription has ended; no message of the channel follows.
    Unsubscribed {
        /// The channel's name.
        channel: ChannelName,
        /// Why, if the client did not ask for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<ErrorCode>,
    },
    /// The message is committed.
    Ack(Ack),
    /// A channel's next message.
    Message(Message),
    /// A request was refused.
    Error(ProtocolError),
    /// The answer to `ping`.
    Pong,
}

/// What a publisher learns of its committed message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The channel's name.
    pub channel: ChannelName,
    /// The message's place in its channel: 1, 2, 3 …, without gaps, in the order of commits.
    pub seq: u64,
    /// The message's identity, the same wherever it appears.
    pub id: Uuid,
    /// What the publisher called it.
    pub client_message_id: Uuid,
    /// Whether an earlier publish with this `client_message_id` had stored it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// A message as it is stored, broadcast and delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The channel's name.
    pub channel: ChannelName,
    /// See [`Ack::seq`].
    pub seq: u64,
    /// See [`Ack::id`].
    pub id: Uuid,
    /// Who published it.
    pub sender: SenderName,
    /// What the publisher called it.
    pub client_message_id: Uuid,
    /// The text.
    pub body: String,
    /// When its server accepted it: Unix time, in milliseconds.
    pub accepted_at_ms: u64,
    /// W3C Trace Context, where the message is part of a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When it passed each hop, for subscribers that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
}

/// When a message passed the hops on the publisher's side. Unix time in microseconds by the clock of its server, which
/// never steps back while the server runs; with an outbox, the last two are by those of PostgreSQL and of the relay's
/// server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginStamps {
    /// Its frame was read: `accept` starts.
    pub accepted_us: u64,
    /// It was queued for PostgreSQL: `accept` ends, `persist` starts.
    pub queued_us: u64,
    /// It was committed: `persist` ends. With an outbox it is the time of the insert, a little before the COMMIT.
    pub committed_us: u64,
    /// A relay handed it from the outbox to the broker: `outbox` ends. Without an outbox that is at the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_us: Option<u64>,
}

impl OriginStamps {
    /// The stamps of a message that goes to the broker at the commit.
    pub fn committed(accepted_us: u64, queued_us: u64, committed_us: u64) -> Self {
        Self { accepted_us, queued_us, committed_us, published_us: None }
    }

    /// When `publish` and `broadcast` start.
    pub fn publish_us(&self) -> u64 {
        self.published_us.unwrap_or(self.committed_us)
    }
}

/// When a message passed each hop up to the hand-over to the subscriber's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Where the subscriber's server got it from.
    pub origin: Origin,
    /// The publisher's side; none for a healed message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamps: Option<OriginStamps>,
    /// The subscriber's server got it: `broadcast` ends, `receive` starts. In microseconds, by that server's clock.
    pub received_us: u64,
    /// It was handed to the recipients' queues: `receive` ends, `send` starts.
    pub handed_us: u64,
}

/// What a server accepts, as `hello` states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest frame that a client may send; a larger one ends the connection.
    pub frame_bytes_max: usize,
    /// The largest body of a message, in bytes of UTF-8.
    pub body_bytes_max: usize,
    /// Subscriptions of one client.
    pub subscriptions_max: usize,
    /// Publishes of one client that aren't acknowledged yet.
    pub outstanding_max: usize,
    /// Publishes of one client a second, over a longer time; over HTTP, those of one address.
    pub publish_rate_per_s_max: u32,
    /// Publishes that may come at once before that rate counts.
    pub publish_burst_max: u32,
    /// Open WebSocket connections of one address: of one IPv4 address, or of one IPv6 network of 64 bits.
    pub connections_per_address_max: usize,
    /// Open WebSocket connections of the whole server.
    pub connections_max: usize,
    /// Missed messages that a subscription recovers; beyond that the client pages through history.
    pub recovered_max: usize,
    /// After this long without a sign of life from the client the connection is closed.
    pub idle_timeout_ms: u64,
}

/// A page of a channel's history, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The messages after `after_seq`, in order.
    pub messages: Vec<Message>,
    /// The channel's last sequence number; 0 before its first message.
    pub last_seq: u64,
    /// `after_seq` of the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_after_seq: Option<u64>,
}

/// The body of a publish over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// See [`ClientFrame::Publish`].
    pub client_message_id: Uuid,
    /// The text.
    pub body: String,
    /// Who publishes. Needed where there are no tokens, and refused where a token says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<SenderName>,
    /// W3C Trace Context of the client's own span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}
