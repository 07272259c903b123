//! Whether a token is one, and holds now.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};

use super::{Claims, PublicKey, Secret, signature};

/// The longest token.
pub const TOKEN_MAX_BYTES: usize = 8192;

/// How far apart the clocks of issuer and server may be, in seconds.
pub const LEEWAY_S: u64 = 5;

/// What tokens are verified with. It decides the algorithm; what a token says of that is compared, never believed.
#[derive(Clone, Debug)]
pub enum Key {
    /// HS256.
    Secret(Secret),
    /// `EdDSA` with Ed25519.
    Public(PublicKey),
}

/// Why a token was refused. Not for its bearer, who could learn from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is longer than [`TOKEN_MAX_BYTES`].
    TooLarge,
    /// It is no JWT, or asks for what no one here understands.
    Malformed,
    /// It names another algorithm.
    Algorithm,
    /// Someone else signed it, or it was changed.
    Signature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It is from another issuer.
    Issuer,
    /// It is for someone else.
    Audience,
    /// A claim is missing or can't be used.
    Claims,
}

/// Verifies tokens.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// Accepts what `issuer` made for `audience`.
    pub fn new(key: &Key, issuer: &str, audience: &str) -> Self {
        signature::install();
        let (key, algorithm) = match key {
            Key::Secret(secret) => (DecodingKey::from_secret(secret.as_bytes()), Algorithm::HS256),
            Key::Public(public) => (DecodingKey::from_ed_der(public.as_bytes()), Algorithm::EdDSA),
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
        Self { key, validation }
    }

    /// What a token says, if it holds.
    pub fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Refusal::TooLarge);
        }
        let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
        // Whatever it calls critical, it would not be looked at (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        let token = decode(token, &self.key, &self.validation);
        token.map(|token| token.claims).map_err(|error| refusal(error.kind()))
    }
}

fn refusal(error: &ErrorKind) -> Refusal {
    match error {
        ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => Refusal::Malformed,
        ErrorKind::InvalidAlgorithm => Refusal::Algorithm,
        ErrorKind::InvalidSignature => Refusal::Signature,
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::NotYet,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::InvalidAudience => Refusal::Audience,
        _ => Refusal::Claims,
    }
}
