//! `accept`: what every publish passes, whether it came by WebSocket or by HTTP, before PostgreSQL sees it.

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    clock,
    hop::Hop,
    persist::{Draft, Persist, PersistError},
    protocol::{Ack, ChannelName, ErrorCode, InvalidName, Limits, ProtocolError, SenderName},
    telemetry::metrics::metrics,
};

/// A publish as a client asks for it.
#[derive(Debug)]
pub struct Request {
    /// The channel's name, unchecked.
    pub channel: String,
    /// Who publishes.
    pub sender: SenderName,
    /// What the publisher calls it.
    pub client_message_id: Uuid,
    /// The text, unchecked.
    pub body: String,
    /// W3C Trace Context of the publisher's span, unchecked.
    pub traceparent: Option<String>,
    /// When its frame was read.
    pub accepted_us: u64,
}

/// Accepts publishes, and queues them for `persist`.
#[derive(Clone)]
pub struct Accept {
    persist: Persist,
    limits: Limits,
}

impl Accept {
    /// Publishes within `limits` go to `persist`.
    pub fn new(persist: Persist, limits: Limits) -> Self {
        Self { persist, limits }
    }

    /// Checks a publish, queues it and waits until it is committed or refused.
    ///
    /// The work up to the queue is done at once, when this is called, so that a client's publishes keep their
    /// order however the answers are awaited.
    pub fn publish(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Ack, ProtocolError>> + Send + use<> {
        let (channel, client_message_id) = (request.channel.clone(), request.client_message_id);
        let queued = self.queue(request);
        async move {
            let answer = match queued {
                // A writer drops a reply only when it is torn down with its runtime.
                Ok(answer) => answer.await.unwrap_or(Err(PersistError::Unavailable)).map_err(refusal),
                Err(error) => Err(error),
            };
            answer.map_err(|error| error.in_channel(channel).of_message(client_message_id))
        }
    }

    fn queue(&self, request: Request) -> Result<oneshot::Receiver<Result<Ack, PersistError>>, ProtocolError> {
        let channel = channel_name(&request.channel)?;
        self.check_body(&request.body)?;
        let (reply, answer) = oneshot::channel();
        let queued_us = clock::now_us();
        let draft = Draft {
            channel,
            id: Uuid::now_v7(),
            sender: request.sender,
            client_message_id: request.client_message_id,
            body: request.body,
            // As the W3C has it, a malformed context is ignored and never an error.
            traceparent: request.traceparent.filter(|text| is_traceparent(text)),
            accepted_us: request.accepted_us,
            queued_us,
            reply,
        };
        self.persist.append(draft).map_err(refusal)?;
        metrics().hop(Hop::Accept, queued_us.saturating_sub(request.accepted_us));
        Ok(answer)
    }

    fn check_body(&self, body: &str) -> Result<(), ProtocolError> {
        let max = self.limits.body_bytes_max;
        if body.is_empty() {
            Err(ProtocolError::new(ErrorCode::InvalidBody, "the body is empty"))
        } else if body.len() > max {
            let message = format!("the body has {} bytes; at most {max} are accepted", body.len());
            Err(ProtocolError::new(ErrorCode::BodyTooLarge, message))
        } else if body.contains('\0') {
            Err(ProtocolError::new(ErrorCode::InvalidBody, "the body holds U+0000, which can't be stored"))
        } else {
            Ok(())
        }
    }
}

/// Checks the name of a channel.
pub fn channel_name(name: &str) -> Result<ChannelName, ProtocolError> {
    let refusal = |error: InvalidName| ProtocolError::new(ErrorCode::InvalidName, error.to_string());
    name.parse().map_err(refusal)
}

fn refusal(error: PersistError) -> ProtocolError {
    let code = match error {
        PersistError::Conflict => ErrorCode::Conflict,
        PersistError::Rejected => ErrorCode::InvalidBody,
        PersistError::Busy => ErrorCode::Busy,
        PersistError::Unavailable => ErrorCode::Unavailable,
    };
    ProtocolError::new(code, error.to_string())
}

/// Whether a text is a `traceparent` of version 00: <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn is_traceparent(text: &str) -> bool {
    let lower_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = text.split('-');
    let mut part = |length: usize| parts.next().filter(|part| part.len() == length && lower_hex(part));
    let (Some("00"), Some(trace), Some(span), Some(_flags)) = (part(2), part(32), part(16), part(2)) else {
        return false;
    };
    let not_zero = |id: &str| id.bytes().any(|byte| byte != b'0');
    not_zero(trace) && not_zero(span) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_traceparent;

    #[test]
    fn only_a_well_formed_traceparent_is_one() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for bad in [
            "",
            &good[1..],
            &format!("{good}-"),
            &good.replace("00-4", "01-4"),
            &good.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
