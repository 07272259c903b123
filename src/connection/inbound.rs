//! What came off a client's socket, in the protocol's terms.

use axum::extract::ws::{Message, Utf8Bytes};
use tungstenite::error::Error;

use crate::protocol::CloseCode;

/// What a client's frame means.
pub(super) enum Inbound {
    /// A text frame, to be parsed.
    Text(Utf8Bytes),
    /// A ping or pong.
    SignOfLife,
    /// A frame that ends the connection.
    Violation(CloseCode),
}

/// Classifies what the socket brought; nothing when the client has gone.
pub(super) fn read(frame: Option<Result<Message, axum::Error>>) -> Option<Inbound> {
    match frame? {
        Ok(Message::Text(text)) => Some(Inbound::Text(text)),
        Ok(Message::Ping(_) | Message::Pong(_)) => Some(Inbound::SignOfLife),
        Ok(Message::Binary(_)) => Some(Inbound::Violation(CloseCode::Unsupported)),
        Ok(Message::Close(_)) => None,
        Err(error) => match *error.into_inner().downcast::<Error>().ok()? {
            Error::Capacity(_) => Some(Inbound::Violation(CloseCode::TooLarge)),
            Error::Utf8(_) => Some(Inbound::Violation(CloseCode::NotUtf8)),
            // The client left without a close frame, or answered ours: no frame of it is at fault.
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
            Error::Protocol(_) => Some(Inbound::Violation(CloseCode::ProtocolViolation)),
            _ => None,
        },
    }
}
