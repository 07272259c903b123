//! `auth`: who a client is and what it may do. Tokens decide it, or where there are none its own word.

mod identity;
mod offered;
mod origins;

use std::sync::Arc;

use axum::http::HeaderMap;

use crate::{
    config,
    protocol::{ErrorCode, ProtocolError, SenderName},
    telemetry::{labels::AuthRefusal, metrics::metrics},
    token::{Refusal, Verifier},
};

pub use identity::Identity;

/// Decides who comes in.
#[derive(Clone)]
pub struct Auth {
    /// None where anyone may come, under any name.
    verifier: Option<Arc<Verifier>>,
    origins: Arc<[String]>,
}

/// Who asks, as far as a request's head says it.
pub enum Caller {
    /// Whoever it says it is: there are no tokens here.
    Anyone,
    /// The bearer of a token that holds.
    Bearer(Identity),
}

impl Auth {
    /// Lets in whom the configuration says.
    pub fn new(config: config::Auth) -> Self {
        Self { verifier: config.verifier.map(Arc::new), origins: config.origins.into() }
    }

    /// Refuses pages of origins that are not listed. What is no page has no origin, and passes.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<(), ProtocolError> {
        if origins::are_listed(&self.origins, headers) {
            return Ok(());
        }
        metrics().auth_refusals.of(AuthRefusal::Origin).increment(1);
        Err(ProtocolError::new(ErrorCode::ForbiddenOrigin, "pages of this origin are not served"))
    }

    /// Who asks; none if tokens are taken here and the head brings none.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Option<Caller>, ProtocolError> {
        if self.verifier.is_none() {
            return Ok(Some(Caller::Anyone));
        }
        let token = offered::token(headers).map_err(unauthorized)?;
        token.map(|token| self.identify(token).map(Caller::Bearer)).transpose()
    }

    /// The bearer of a token, if it holds.
    pub fn identify(&self, token: &str) -> Result<Identity, ProtocolError> {
        let Some(verifier) = &self.verifier else {
            return Err(ProtocolError::new(ErrorCode::Malformed, "this server takes no tokens"));
        };
        let claims = verifier.verify(token).map_err(|refusal| unauthorized(refusal.into()))?;
        Ok(Identity::bearer(claims))
    }
}

impl Caller {
    /// Who it is, given what name it calls itself, if any. A name beside a token is refused, even the same one:
    /// who sends it may think that it counts.
    pub fn named(self, sender: Option<SenderName>) -> Result<Identity, ProtocolError> {
        match (self, sender) {
            (Self::Anyone, Some(sender)) => Ok(Identity::anyone(sender)),
            (Self::Anyone, None) => Ok(Identity::guest()),
            (Self::Bearer(identity), None) => Ok(identity),
            (Self::Bearer(_), Some(_)) => Err(named_beside_token()),
        }
    }

    /// The same for a publish, which can't be a guest's: a retry would be from another one.
    pub fn publisher(self, sender: Option<SenderName>) -> Result<Identity, ProtocolError> {
        if matches!(self, Self::Anyone) && sender.is_none() {
            return Err(ProtocolError::new(ErrorCode::Malformed, "missing field `sender`"));
        }
        self.named(sender)
    }
}

/// Refuses a sender's name where tokens say it.
pub fn named_beside_token() -> ProtocolError {
    ProtocolError::new(
        ErrorCode::Malformed,
        "this server takes the sender's name from a token; leave `sender` out",
    )
}

/// Refuses who is not known. The reason is counted and told to no one: the text is the same for all.
pub fn unauthorized(reason: AuthRefusal) -> ProtocolError {
    metrics().auth_refusals.of(reason).increment(1);
    ProtocolError::new(ErrorCode::Unauthorized, "a token that holds is needed")
}

impl From<Refusal> for AuthRefusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge => Self::TooLarge,
            Refusal::Malformed => Self::Malformed,
            Refusal::Algorithm => Self::Algorithm,
            Refusal::Signature => Self::Signature,
            Refusal::Expired => Self::Expired,
            Refusal::NotYet => Self::NotYet,
            Refusal::Issuer => Self::Issuer,
            Refusal::Audience => Self::Audience,
            Refusal::Claims => Self::Claims,
        }
    }
}
