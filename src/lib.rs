//! Hopline: a multi-server WebSocket chat that persists first, broadcasts over Redis and times every hop.

pub mod hop;
pub mod protocol;
