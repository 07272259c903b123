//! How a client's connection fails or ends.

use std::{fmt, net::SocketAddr};

use tokio_tungstenite::tungstenite::{Error, protocol::CloseFrame};

/// Why a client got no frame.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection came about.
    #[error("can't connect to {addr}: {reason}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// The server answered the upgrade with an HTTP error.
    #[error("the server refused the WebSocket with HTTP {status}: {body}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: String,
    },
    /// The connection has ended.
    #[error("the connection was closed: {0}")]
    Closed(Closed),
    /// The server sent something that isn't a frame of the protocol.
    #[error("not a frame of the protocol ({error}): {text}")]
    Unreadable {
        /// What it sent.
        text: String,
        /// What is wrong with it.
        error: String,
    },
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code; none if the connection ended without one.
    pub code: Option<u16>,
    /// The reason beside the code, or what happened to the connection.
    pub reason: String,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code} {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

pub(super) fn closed_by(frame: Option<CloseFrame>) -> Closed {
    match frame {
        Some(frame) => Closed { code: Some(frame.code.into()), reason: frame.reason.as_str().to_owned() },
        None => Closed { code: None, reason: "a close frame without a code".to_owned() },
    }
}

pub(super) fn broken(error: &Error) -> ClientError {
    ClientError::Closed(Closed { code: None, reason: error.to_string() })
}

pub(super) fn refusal(addr: SocketAddr, error: Error) -> ClientError {
    match error {
        Error::Http(response) => ClientError::Refused {
            status: response.status().as_u16(),
            body: String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned(),
        },
        other => ClientError::Connect { addr, reason: other.to_string() },
    }
}
