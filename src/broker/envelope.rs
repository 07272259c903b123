//! What travels through the broker.

use serde::{Deserialize, Serialize};

use crate::protocol::{Message, OriginStamps, SenderName};

const VERSION: u32 = 1;

/// A committed message on its way to all servers. JSON, so that a curious `redis-cli monitor` can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    #[serde(rename = "v")]
    version: u32,
    /// The server that published it.
    pub node: SenderName,
    /// When it passed the hops there.
    pub stamps: OriginStamps,
    /// The message, with the trace context of its publisher.
    pub message: Message,
}

/// The payload is not an envelope of this version.
#[derive(Debug, thiserror::Error)]
pub enum MalformedEnvelope {
    /// It can't be parsed.
    #[error("not an envelope: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Its version is another one.
    #[error("an envelope of version {0}, where {VERSION} is understood")]
    Version(u32),
}

impl Envelope {
    /// An envelope of the current version.
    pub fn new(node: SenderName, stamps: OriginStamps, message: Message) -> Self {
        Self { version: VERSION, node, stamps, message }
    }

    /// The bytes for the broker.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an envelope has string keys only and no value that fails")
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(payload: &[u8]) -> Result<Self, MalformedEnvelope> {
        let envelope: Self = serde_json::from_slice(payload)?;
        match envelope.version {
            VERSION => Ok(envelope),
            other => Err(MalformedEnvelope::Version(other)),
        }
    }
}
