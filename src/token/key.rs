//! The keys of tokens, as files hold them.

use std::{fmt, fs, io, path::Path};

use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use subtle::ConstantTimeEq;

/// HMAC with SHA-256 is as strong as its secret, up to this length (RFC 7518, section 3.2).
pub const SECRET_MIN_BYTES: usize = 32;

/// Far more than any key has: what is larger is another file.
const FILE_BYTES_MAX: usize = 64 << 10;

/// What stands before the 32 bytes of an Ed25519 public key (RFC 8410, section 4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const ED25519_BYTES: usize = 32;

/// Why a file's key can't be used. It never shows what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    /// The file can't be read.
    #[error("can't be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It holds too much.
    #[error("has more than {FILE_BYTES_MAX} bytes; that is no key")]
    TooLarge,
    /// It holds too little.
    #[error("has {0} bytes; a secret has at least {SECRET_MIN_BYTES}. `openssl rand -hex 32` makes one")]
    TooShort(usize),
    /// It can't stand in a request.
    #[error("has more than one line, or characters that can't be printed")]
    Unprintable,
    /// It holds no public key of the kind.
    #[error("holds no Ed25519 public key in PEM; `openssl pkey -in PRIVATE -pubout` writes it")]
    NotEd25519,
}

/// A secret that both sides know. It is never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads it from a file; white space at the end, such as a line feed, is not part of it.
    pub fn read(path: &Path) -> Result<Self, InvalidKey> {
        Self::new(read(path)?.trim_ascii_end())
    }

    /// A secret of at least [`SECRET_MIN_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidKey> {
        if bytes.len() < SECRET_MIN_BYTES {
            return Err(InvalidKey::TooShort(bytes.len()));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is it. How long that takes does not depend on where the two differ.
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.ct_eq(given).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An issuer's Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; ED25519_BYTES]);

impl PublicKey {
    /// Reads it from a PEM file (`BEGIN PUBLIC KEY`).
    pub fn read(path: &Path) -> Result<Self, InvalidKey> {
        Self::from_pem(&read(path)?)
    }

    /// Takes it out of PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidKey> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| InvalidKey::NotEd25519)?;
        let key = der.strip_prefix(&ED25519_PREFIX).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or(InvalidKey::NotEd25519)
    }

    /// The key itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn read(path: &Path) -> Result<Vec<u8>, InvalidKey> {
    let bytes = fs::read(path)?;
    if bytes.len() > FILE_BYTES_MAX { Err(InvalidKey::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_enough_and_is_not_shown() {
        assert!(matches!(Secret::new(&[b'x'; 31]), Err(InvalidKey::TooShort(31))));
        let secret = Secret::new(b"01234567890123456789012345678901").unwrap();
        assert!(!format!("{secret:?}").contains('0'));
        assert!(secret.is(b"01234567890123456789012345678901"));
        for other in [&b""[..], b"01234567890123456789012345678900", b"012345678901234567890123456789012"] {
            assert!(!secret.is(other));
        }
    }

    #[test]
    fn white_space_at_the_end_of_a_file_is_not_part_of_its_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, format!("{}\r\n", "x".repeat(32))).unwrap();
        assert_eq!(Secret::read(file.path()).unwrap().as_bytes(), "x".repeat(32).as_bytes());
        fs::write(&file, format!("{}\n\n", "x".repeat(31))).unwrap();
        assert!(Secret::read(file.path()).is_err());
    }

    #[test]
    fn only_a_public_key_of_ed25519_is_one() {
        let right = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(PublicKey::from_pem(right.as_bytes()).unwrap().as_bytes()[..2], [0x19, 0xbf]);
        let x25519 = right.replace("K2Vw", "K2Vu");
        let private = right.replace("PUBLIC", "PRIVATE");
        let short = right.replace("ZuE=", "");
        for wrong in ["", "GARBAGE", &x25519, &private, &short] {
            assert!(PublicKey::from_pem(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
