//! Tokens in frames: the first one of a client that has brought none yet, and renewal while it is connected.

use std::sync::Arc;

use axum::extract::ws::{Message, Utf8Bytes};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;

use super::{
    Change, Connection, Ended, Shared, encode,
    inbound::{self, Inbound},
};
use crate::{
    auth::{Auth, Identity, unauthorized},
    protocol::{ClientFrame, CloseCode, ErrorCode, ProtocolError, ServerFrame, Token},
    send::Registration,
    telemetry::labels::AuthRefusal,
};

/// How a connection ends that no one came in by.
pub(super) struct NotAdmitted {
    /// What the client is told; nothing if it has gone.
    pub(super) code: Option<CloseCode>,
    pub(super) ended: Ended,
}

impl NotAdmitted {
    fn told(code: CloseCode) -> Self {
        Self { code: Some(code), ended: Ended::InOrder }
    }
}

/// Waits for the token that has to be the first frame. Until then the client is told nothing and can do nothing.
pub(super) async fn first_frame<S>(stream: &mut S, shared: &Shared) -> Result<Identity, NotAdmitted>
where
    S: Stream<Item = Result<Message, axum::Error>> + Unpin,
{
    let text = tokio::select! {
        text = timeout(shared.config.auth_timeout, first_text(stream)) => text,
        () = shared.draining.cancelled() => return Err(NotAdmitted::told(CloseCode::ShuttingDown)),
    };
    let identity = match text {
        Ok(text) => identify(&text?, &shared.auth),
        Err(_) => Err(unauthorized(AuthRefusal::Timeout)),
    };
    identity.map_err(|_| NotAdmitted::told(CloseCode::Unauthorized))
}

async fn first_text<S>(stream: &mut S) -> Result<Utf8Bytes, NotAdmitted>
where
    S: Stream<Item = Result<Message, axum::Error>> + Unpin,
{
    loop {
        match inbound::read(stream.next().await) {
            Some(Inbound::Text(text)) => return Ok(text),
            Some(Inbound::SignOfLife) => {}
            Some(Inbound::Violation(code)) => {
                return Err(NotAdmitted { code: Some(code), ended: Ended::ByViolation });
            }
            None => return Err(NotAdmitted { code: None, ended: Ended::InOrder }),
        }
    }
}

fn identify(text: &str, auth: &Auth) -> Result<Identity, ProtocolError> {
    match serde_json::from_str(text) {
        Ok(ClientFrame::Authenticate { token }) => auth.identify(&token.0),
        _ => Err(unauthorized(AuthRefusal::FirstFrame)),
    }
}

impl Connection {
    /// Lets another token of the same sender take the place of the one before, with all that it allows and does not.
    pub(super) fn renew(&mut self, token: &Token) -> Result<(), ProtocolError> {
        let identity = self.shared.auth.identify(&token.0)?;
        if identity.sender != self.identity.sender {
            return Err(unauthorized(AuthRefusal::OtherSender));
        }
        self.identity = Arc::new(identity);
        self.answer(&ServerFrame::Authenticated { expires_at_ms: self.identity.expires_at_ms() });
        self.leave_forbidden();
        Ok(())
    }

    /// Ends the subscriptions that the token does not allow any more.
    fn leave_forbidden(&mut self) {
        let lost: Vec<_> =
            self.subscriptions.extract_if(|channel| !self.identity.may_read(channel)).collect();
        let (registrar, session) = (self.shared.registrar.clone(), self.client.session);
        let change = async move {
            for channel in lost {
                let farewell =
                    ServerFrame::Unsubscribed { channel: channel.clone(), code: Some(ErrorCode::Forbidden) };
                let farewell = Some(encode(&farewell));
                registrar.register(Registration::Leave { channel, session, farewell }).await;
            }
            Ok(Change::Unsubscribed)
        };
        self.change = Some(change.boxed());
    }
}
