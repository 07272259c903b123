//! Makes tokens of any kind, as no issuer would.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hopline::token::Issuer;
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};

/// Unix time in seconds, so many seconds from now.
pub(super) fn in_s(seconds: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs().cast_signed() + seconds
}

/// Claims that are good for an hour.
pub(super) fn claims(issuer: &Issuer) -> Value {
    json!({
        "iss": issuer.name, "aud": issuer.audience, "sub": "alice", "exp": in_s(3600),
        "read": ["general", "team-*"], "write": ["general", "team-*"],
    })
}

/// The same with some of them changed; `null` takes one away.
pub(super) fn changed(issuer: &Issuer, changes: Value) -> Value {
    let (mut claims, Value::Object(changes)) = (claims(issuer), changes) else { panic!("no changes") };
    for (name, value) in changes {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(&name);
        } else {
            claims[name] = value;
        }
    }
    claims
}

pub(super) fn part(json: &Value) -> String {
    raw_part(json.to_string().as_bytes())
}

pub(super) fn raw_part(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Whatever the header says, signed with HMAC and SHA-256.
pub(super) fn hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    hmac_signed(&part(header), &part(claims), hmac::HMAC_SHA256, secret)
}

pub(super) fn hmac_signed(header: &str, claims: &str, algorithm: hmac::Algorithm, secret: &[u8]) -> String {
    let message = format!("{header}.{claims}");
    let signature = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
    format!("{message}.{}", raw_part(signature.as_ref()))
}

/// A key pair for Ed25519.
pub(super) struct Pair(Ed25519KeyPair);

impl Pair {
    pub(super) fn of(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        format!("{message}.{}", raw_part(self.0.sign(message.as_bytes()).as_ref()))
    }

    pub(super) fn public(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The public key as a file holds it, and what is in it.
    pub(super) fn pem(&self) -> (String, Vec<u8>) {
        let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let der = [&prefix[..], &self.public()].concat();
        let text = base64::prelude::BASE64_STANDARD.encode(&der);
        (format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"), der)
    }
}
