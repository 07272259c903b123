//! Tokens: signed statements of who a client is and which channels it may read and write (JWT, RFC 7519). An issuer
//! [mints](mint()) them, a server [verifies](Verifier) them; the two share no more than a key.

mod claims;
mod key;
mod mint;
mod pattern;
mod signature;
mod verify;

pub use claims::{Claims, InvalidClaims, PATTERNS_MAX};
pub use key::{InvalidKey, PublicKey, SECRET_MIN_BYTES, Secret};
pub use mint::{Issuer, mint};
pub use pattern::{InvalidPattern, Pattern};
pub use verify::{Key, LEEWAY_S, Refusal, TOKEN_MAX_BYTES, Verifier};
