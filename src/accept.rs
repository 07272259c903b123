//! `accept`: what every publish passes, whether it came by WebSocket or by HTTP, before PostgreSQL sees it.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    auth::Identity,
    clock,
    fault::Line,
    hop::Hop,
    persist::{Draft, Persist, PersistError},
    protocol::{Ack, ChannelName, ErrorCode, InvalidName, Limits, ProtocolError},
    telemetry::{metrics::metrics, trace},
};

/// When to try again where a fault holds too many messages.
const HELD_WAIT: Duration = Duration::from_secs(1);

/// A publish as a client asks for it.
#[derive(Debug)]
pub struct Request {
    /// The channel's name, unchecked.
    pub channel: String,
    /// Who publishes.
    pub publisher: Arc<Identity>,
    /// What the publisher calls it.
    pub client_message_id: Uuid,
    /// The text, unchecked.
    pub body: String,
    /// W3C Trace Context of the publisher's span, unchecked.
    pub traceparent: Option<String>,
    /// When its frame was read.
    pub accepted_us: u64,
}

/// A request that passed the checks.
struct Checked {
    channel: ChannelName,
    request: Request,
    reply: oneshot::Sender<Result<Ack, PersistError>>,
}

/// Accepts publishes, and queues them for `persist`.
#[derive(Clone)]
pub struct Accept {
    checked: Line<Checked>,
    limits: Limits,
}

impl Accept {
    /// Publishes within `limits` go to `persist`.
    pub fn new(persist: Persist, limits: Limits) -> Self {
        Self { checked: Line::new(Hop::Accept, move |checked| queue(&persist, checked)), limits }
    }

    /// Checks a publish, queues it and waits until it is committed or refused.
    ///
    /// The work up to the queue is done at once, when this is called, so that a client's publishes keep their
    /// order however the answers are awaited.
    pub fn publish(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Ack, ProtocolError>> + Send + use<> {
        let (name, client_message_id) = (request.channel.clone(), request.client_message_id);
        let answer = check(&request, &self.limits).map(|channel| {
            let (reply, answer) = oneshot::channel();
            let accepted_us = request.accepted_us;
            if let Err(Checked { reply, .. }) =
                self.checked.pass(accepted_us, Checked { channel, request, reply })
            {
                let _ = reply.send(Err(PersistError::Busy { wait: HELD_WAIT }));
            }
            answer
        });
        async move {
            let answer = match answer {
                // A writer drops a reply only when it is torn down with its runtime.
                Ok(answer) => answer.await.unwrap_or(Err(PersistError::Unavailable)).map_err(refusal),
                Err(error) => Err(error),
            };
            answer.map_err(|error| error.in_channel(name).of_message(client_message_id))
        }
    }
}

/// Checks a publish: the name of its channel, that its publisher may, and that its body can be stored. Returns the channel.
pub fn check(request: &Request, limits: &Limits) -> Result<ChannelName, ProtocolError> {
    let channel = channel_name(&request.channel)?;
    request.publisher.check_write(&channel)?;
    let (body, max) = (&request.body, limits.body_bytes_max);
    if body.is_empty() {
        Err(ProtocolError::new(ErrorCode::InvalidBody, "the body is empty"))
    } else if body.len() > max {
        let message = format!("the body has {} bytes; at most {max} are accepted", body.len());
        Err(ProtocolError::new(ErrorCode::BodyTooLarge, message))
    } else if body.contains('\0') {
        Err(ProtocolError::new(ErrorCode::InvalidBody, "the body holds U+0000, which can't be stored"))
    } else {
        Ok(channel)
    }
}

fn queue(persist: &Persist, Checked { channel, request, reply }: Checked) {
    let id = Uuid::now_v7();
    let client = trace::Incoming::read(request.traceparent.as_deref());
    let span = trace::accept(&trace::Accepted {
        client: &client,
        channel: &channel,
        id,
        body_bytes: request.body.len(),
        accepted_us: request.accepted_us,
    });
    let trace = span.as_ref().map(trace::Open::context);
    // A server that makes no spans passes the client's context on; one whose sampler wants none says so by none.
    let passed_on = if trace::tracer().is_some() { trace.clone() } else { client.sampled() };
    let queued_us = clock::now_us();
    metrics().hops.record(Hop::Accept, queued_us.saturating_sub(request.accepted_us));
    if let Some(span) = span {
        span.end(queued_us);
    }
    persist.append(Draft {
        channel,
        id,
        sender: request.publisher.sender.clone(),
        client_message_id: request.client_message_id,
        body: request.body,
        traceparent: passed_on.as_ref().map(trace::traceparent),
        trace,
        accepted_us: request.accepted_us,
        queued_us,
        reply,
    });
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
        PersistError::Busy { wait } => {
            return ProtocolError::new(ErrorCode::Busy, error.to_string()).retry_after(wait);
        }
        PersistError::Unavailable => ErrorCode::Unavailable,
    };
    ProtocolError::new(code, error.to_string())
}
