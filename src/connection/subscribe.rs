//! Subscribing, without losing or repeating a message: first the client joins, then the counter is read,
//! then history up to the counter; what came in meanwhile and lies behind it follows.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;

use super::{Change, Shared, encode};
use crate::{
    history::Range,
    protocol::{ChannelName, ErrorCode, ProtocolError, ServerFrame, messages_path},
    send::{Client, Registration, message_frame},
};

/// A checked request for a channel's messages.
pub(super) struct Subscribe {
    pub(super) channel: ChannelName,
    pub(super) after_seq: Option<u64>,
    pub(super) timing: bool,
    pub(super) client: Client,
}

impl Subscribe {
    pub(super) async fn carry_out(self, shared: Arc<Shared>) -> Result<Change, ProtocolError> {
        let (channel, session) = (self.channel.clone(), self.client.session);
        match self.catch_up(&shared).await {
            Ok((last_seq, frames)) => {
                shared.registrar.begin(channel.clone(), session, last_seq, frames).await;
                Ok(Change::Subscribed(channel))
            }
            Err(error) => {
                let leave = Registration::Leave { channel: channel.clone(), session, farewell: None };
                shared.registrar.register(leave).await;
                Err(error.in_channel(&*channel))
            }
        }
    }

    /// The channel's counter, and the frames that come before what follows it.
    async fn catch_up(&self, shared: &Shared) -> Result<(u64, Vec<Utf8Bytes>), ProtocolError> {
        let joined = shared.registrar.join(self.channel.clone(), self.client.clone(), self.timing).await;
        let last_seq = match joined.map_err(unavailable)? {
            Some(last_seq) => last_seq,
            None => shared.history.last_seq(&self.channel).await.map_err(unavailable)?,
        };
        let after_seq = self.after_seq.unwrap_or(last_seq);
        if after_seq > last_seq {
            let message = format!("after_seq is {after_seq}, but the channel's last message is {last_seq}");
            return Err(ProtocolError::new(ErrorCode::AfterSeqAhead, message));
        }
        let recovered_max = shared.config.limits.recovered_max;
        let recovered = last_seq - after_seq <= recovered_max as u64;
        let missed = if recovered && after_seq < last_seq {
            let range = Range { channel: &self.channel, after: after_seq, upto: last_seq };
            shared.history.page(range, recovered_max).await.map_err(unavailable)?
        } else {
            Vec::new()
        };
        let history = (!recovered).then(|| format!("{}?after_seq={after_seq}", messages_path(&self.channel)));
        let answer = ServerFrame::Subscribed { channel: self.channel.clone(), last_seq, recovered, history };
        let frames = std::iter::once(encode(&answer)).chain(missed.iter().map(message_frame));
        Ok((last_seq, frames.collect()))
    }
}

fn unavailable(error: impl std::fmt::Display) -> ProtocolError {
    tracing::warn!(%error, "could not read what a subscriber missed");
    ProtocolError::new(ErrorCode::Unavailable, "the database can't be reached or is too slow; try again")
}
