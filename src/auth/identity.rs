//! Who a client is, and what it may do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    protocol::{ChannelName, ErrorCode, ProtocolError, SenderName},
    telemetry::{labels::AuthRefusal, metrics::metrics},
    token::{Claims, LEEWAY_S},
};

/// A time of which no process sees the end. Beyond it clocks overflow.
const FOR_EVER: Duration = Duration::from_hours(100 * 365 * 24);

/// Who a client is, and what it may do.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Who its messages are from.
    pub sender: SenderName,
    /// None for whoever may do everything, for ever.
    grant: Option<Grant>,
}

#[derive(Clone, Debug)]
struct Grant {
    claims: Claims,
    ends: Instant,
}

impl Identity {
    /// One that may do everything.
    pub fn anyone(sender: SenderName) -> Self {
        Self { sender, grant: None }
    }

    /// The same, under a made-up name.
    pub fn guest() -> Self {
        let name = format!("guest-{}", &Uuid::new_v4().simple().to_string()[..8]);
        Self::anyone(name.parse().expect("letters, digits and a hyphen"))
    }

    /// The bearer of a token that has just been verified.
    pub fn bearer(claims: Claims) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_secs(ends_s(&claims)).saturating_sub(now).min(FOR_EVER);
        Self { sender: claims.sub.clone(), grant: Some(Grant { ends: Instant::now() + left, claims }) }
    }

    /// When its token ends; none if it has none. A wall clock that is changed later changes nothing.
    pub fn ends(&self) -> Option<Instant> {
        self.grant.as_ref().map(|grant| grant.ends)
    }

    /// The same as Unix time, in milliseconds.
    pub fn expires_at_ms(&self) -> Option<u64> {
        self.grant.as_ref().map(|grant| ends_s(&grant.claims).saturating_mul(1000))
    }

    /// Whether it may have the channel's messages.
    pub fn may_read(&self, channel: &ChannelName) -> bool {
        self.grant.as_ref().is_none_or(|grant| grant.claims.may_read(channel))
    }

    /// Refuses a reader that may not.
    pub fn check_read(&self, channel: &ChannelName) -> Result<(), ProtocolError> {
        if self.may_read(channel) { Ok(()) } else { Err(forbidden(AuthRefusal::Read)) }
    }

    /// Refuses a publisher that may not.
    pub fn check_write(&self, channel: &ChannelName) -> Result<(), ProtocolError> {
        let may_write = self.grant.as_ref().is_none_or(|grant| grant.claims.may_write(channel));
        if may_write { Ok(()) } else { Err(forbidden(AuthRefusal::Write)) }
    }
}

/// A token ends when it is not accepted any more: the leeway counts.
fn ends_s(claims: &Claims) -> u64 {
    claims.exp.saturating_add(LEEWAY_S)
}

fn forbidden(reason: AuthRefusal) -> ProtocolError {
    metrics().auth_refusals.of(reason).increment(1);
    ProtocolError::new(ErrorCode::Forbidden, "the token does not allow this")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_without_patterns_allows_nothing_and_one_without_an_end_overflows_nothing() {
        let claims = Claims {
            iss: "i".into(),
            aud: vec!["a".into()],
            sub: "alice".parse().unwrap(),
            exp: u64::MAX,
            nbf: None,
            read: Vec::new(),
            write: Vec::new(),
        };
        let (identity, channel) = (Identity::bearer(claims), "general".parse().unwrap());
        assert_eq!(identity.check_read(&channel).unwrap_err().code, ErrorCode::Forbidden);
        assert_eq!(identity.check_write(&channel).unwrap_err().code, ErrorCode::Forbidden);
        assert_eq!(identity.expires_at_ms(), Some(u64::MAX));
        assert!(identity.ends().unwrap() > Instant::now());
    }

    #[test]
    fn who_needs_no_token_may_do_everything_for_ever() {
        let (identity, channel) = (Identity::guest(), "general".parse().unwrap());
        assert!(identity.check_read(&channel).is_ok() && identity.check_write(&channel).is_ok());
        assert!(identity.ends().is_none() && identity.expires_at_ms().is_none());
    }
}
