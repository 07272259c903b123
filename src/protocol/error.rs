//! What can go wrong, as clients see it: error codes and close codes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// When to try again where nothing says better, in milliseconds.
const RETRY_AFTER_MS: u64 = 1000;

/// Why a request was refused. Clients branch on this; the text beside it is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not JSON, an unknown type, a missing, unknown or mistyped field.
    Malformed,
    /// The channel's or sender's name is not one.
    InvalidName,
    /// The body is empty or holds U+0000, which PostgreSQL can't store.
    InvalidBody,
    /// The body exceeds the limit that `hello` states.
    BodyTooLarge,
    /// `after_seq` lies beyond the channel's last message.
    AfterSeqAhead,
    /// The client is subscribed to this channel already.
    AlreadySubscribed,
    /// The client isn't subscribed to this channel.
    NotSubscribed,
    /// The client has as many subscriptions as the limit that `hello` states.
    TooManySubscriptions,
    /// The client has as many unacknowledged publishes as the limit that `hello` states.
    TooManyOutstanding,
    /// The client publishes faster than the rate that `hello` states.
    RateLimited,
    /// The client's address has as many connections as the server allows.
    TooManyConnections,
    /// This `client_message_id` was used by the same sender, in this channel, for another body.
    Conflict,
    /// There is no token, or none that holds.
    Unauthorized,
    /// The token does not allow it.
    Forbidden,
    /// Pages of this origin are not served.
    ForbiddenOrigin,
    /// The server has no room: what it accepted already would take too long, or a queue is full.
    Busy,
    /// PostgreSQL can't be reached or doesn't answer. Whether the message was stored is unknown.
    Unavailable,
    /// The server is shutting down.
    ShuttingDown,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 18] = [
        Self::Malformed,
        Self::InvalidName,
        Self::InvalidBody,
        Self::BodyTooLarge,
        Self::AfterSeqAhead,
        Self::AlreadySubscribed,
        Self::NotSubscribed,
        Self::TooManySubscriptions,
        Self::TooManyOutstanding,
        Self::RateLimited,
        Self::TooManyConnections,
        Self::Conflict,
        Self::Unauthorized,
        Self::Forbidden,
        Self::ForbiddenOrigin,
        Self::Busy,
        Self::Unavailable,
        Self::ShuttingDown,
    ];

    /// The code as it stands in frames and in metrics' labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::InvalidName => "invalid_name",
            Self::InvalidBody => "invalid_body",
            Self::BodyTooLarge => "body_too_large",
            Self::AfterSeqAhead => "after_seq_ahead",
            Self::AlreadySubscribed => "already_subscribed",
            Self::NotSubscribed => "not_subscribed",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::TooManyOutstanding => "too_many_outstanding",
            Self::RateLimited => "rate_limited",
            Self::TooManyConnections => "too_many_connections",
            Self::Conflict => "conflict",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ForbiddenOrigin => "forbidden_origin",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Whether the same request, with the same `client_message_id`, can succeed later.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::TooManyOutstanding
                | Self::RateLimited
                | Self::TooManyConnections
                | Self::Busy
                | Self::Unavailable
                | Self::ShuttingDown
        )
    }
}

/// A refusal: what went wrong and which request it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolError {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong and what to do, for people.
    pub message: String,
    /// See [`ErrorCode::is_retryable`].
    pub retryable: bool,
    /// When to try again, if that can succeed: so many milliseconds from now, and not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The channel that the refused request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The publish that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<Uuid>,
}

impl ProtocolError {
    /// A refusal that answers no request in particular.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retryable: code.is_retryable(),
            retry_after_ms: code.is_retryable().then_some(RETRY_AFTER_MS),
            channel: None,
            client_message_id: None,
        }
    }

    /// The same, with a better hint when to try again; of a part of a millisecond it makes a whole one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let wait_ms = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        self.retry_after_ms = Some(wait_ms.max(1));
        self
    }

    /// The same, naming the channel of the refused request.
    #[must_use]
    pub fn in_channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = Some(channel.into());
        self
    }

    /// The same, naming the refused publish.
    #[must_use]
    pub fn of_message(mut self, client_message_id: Uuid) -> Self {
        self.client_message_id = Some(client_message_id);
        self
    }
}

/// Why the server closed a WebSocket. Codes from 4000 on are Hopline's own, the others RFC 6455's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The server shuts down: connect to another one and recover by `seq`.
    ShuttingDown,
    /// The client read too slowly and its queue was full: reconnect and recover by `seq`.
    SlowClient,
    /// Nothing, not even a pong, came from the client for too long.
    IdleTimeout,
    /// No token that holds came in time: get one and connect again.
    Unauthorized,
    /// The token that the connection stood on has ended: get a new one, reconnect and recover by `seq`.
    TokenExpired,
    /// A binary frame; the protocol is text only.
    Unsupported,
    /// A text frame that isn't UTF-8.
    NotUtf8,
    /// A frame that breaks RFC 6455.
    ProtocolViolation,
    /// A frame larger than the limit that `hello` states.
    TooLarge,
}

impl CloseCode {
    /// Every code.
    pub const ALL: [Self; 9] = [
        Self::ShuttingDown,
        Self::SlowClient,
        Self::IdleTimeout,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::Unsupported,
        Self::NotUtf8,
        Self::ProtocolViolation,
        Self::TooLarge,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::ShuttingDown => 4000,
            Self::SlowClient => 4001,
            Self::IdleTimeout => 4002,
            Self::Unauthorized => 4010,
            Self::TokenExpired => 4011,
            Self::ProtocolViolation => 1002,
            Self::Unsupported => 1003,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
        }
    }

    /// The reason beside the number, and the label's value in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutting_down",
            Self::SlowClient => "slow_client",
            Self::IdleTimeout => "idle_timeout",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::ProtocolViolation => "protocol_violation",
            Self::Unsupported => "unsupported",
            Self::NotUtf8 => "not_utf8",
            Self::TooLarge => "too_large",
        }
    }
}
