//! Making tokens, for trying out and for load: a deployment has an issuer of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::{Claims, Pattern, Secret, signature};
use crate::protocol::SenderName;

/// Who issues tokens, and for whom.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What the servers verify them with.
    pub secret: Secret,
    /// The claim `iss`.
    pub name: String,
    /// The claim `aud`.
    pub audience: String,
}

impl Issuer {
    /// A token for a sender, which holds from now on for `lifetime`; fractions of a second are cut off.
    pub fn token(
        &self,
        sub: SenderName,
        read: Vec<Pattern>,
        write: Vec<Pattern>,
        lifetime: Duration,
    ) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let exp = (now.saturating_add(lifetime)).as_secs();
        let (iss, aud) = (self.name.clone(), vec![self.audience.clone()]);
        mint(&Claims { iss, aud, sub, exp, nbf: None, read, write }, &self.secret)
    }
}

/// Signs claims with a secret (HS256).
pub fn mint(claims: &Claims, secret: &Secret) -> String {
    signature::install();
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).expect("claims are JSON, and the key is for HS256")
}
