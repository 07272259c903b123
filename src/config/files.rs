//! What is read from files at the start: passwords and certificates.

use std::{fs, path::Path};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{ServeArgs, check::Checker};
use crate::tls::Tls;

/// A larger file is not what was meant.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The outer option tells whether the setting can be used, the inner one whether it was given.
type Given<T> = Option<Option<T>>;

impl Checker {
    /// A password, without the end of its line.
    pub(super) fn password(&mut self, flag: &'static str, path: Option<&Path>) -> Given<String> {
        let Some(path) = path else { return Some(None) };
        let bytes = self.file(flag, path)?;
        let text = String::from_utf8(bytes).ok();
        let password = text.as_deref().map(|text| text.trim_end_matches(['\r', '\n']));
        let password = password.filter(|password| !password.is_empty() && !password.contains('\n'));
        if password.is_none() {
            self.add(flag, format!("{} must hold one line of text", path.display()));
        }
        password.map(|password| Some(password.to_owned()))
    }

    /// The certificates of authorities, as PEM.
    pub(super) fn authorities(&mut self, flag: &'static str, path: Option<&Path>) -> Given<Vec<u8>> {
        let Some(path) = path else { return Some(None) };
        let pem = self.file(flag, path)?;
        self.certificates(flag, path, &pem).map(|_| Some(pem))
    }

    /// At least one certificate.
    pub(super) fn certificates(
        &mut self,
        flag: &'static str,
        path: &Path,
        pem: &[u8],
    ) -> Option<Vec<CertificateDer<'static>>> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = read.ok().filter(|certificates| !certificates.is_empty());
        if certificates.is_none() {
            self.add(flag, format!("{} holds no certificates in PEM format", path.display()));
        }
        certificates
    }

    /// The key of a certificate.
    fn key(&mut self, flag: &'static str, path: &Path) -> Option<PrivateKeyDer<'static>> {
        let key = PrivateKeyDer::from_pem_slice(&self.file(flag, path)?).ok();
        if key.is_none() {
            self.add(flag, format!("{} holds no private key in PEM format", path.display()));
        }
        key
    }

    /// TLS for clients.
    pub(super) fn tls(&mut self, args: &ServeArgs) -> Given<Tls> {
        let (certificate_path, key_path) = match (&args.tls_cert_file, &args.tls_key_file) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return Some(None),
            (Some(_), None) => {
                self.add("--tls-key-file", "is required where there is a --tls-cert-file");
                return None;
            }
            (None, Some(_)) => {
                self.add("--tls-cert-file", "is required where there is a --tls-key-file");
                return None;
            }
        };
        let pem = self.file("--tls-cert-file", certificate_path);
        let chain = pem.and_then(|pem| self.certificates("--tls-cert-file", certificate_path, &pem));
        let key = self.key("--tls-key-file", key_path);
        let tls = Tls::new(chain?, key?);
        tls.map(Some).map_err(|error| self.add("--tls-key-file", format!("can't be used: {error}"))).ok()
    }

    /// The content of a file.
    pub(super) fn file(&mut self, flag: &'static str, path: &Path) -> Option<Vec<u8>> {
        let read = || match fs::metadata(path)?.len() {
            0..=FILE_BYTES_MAX => fs::read(path),
            _ => Err(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes"))),
        };
        read().map_err(|error| self.add(flag, format!("can't read {}: {error}", path.display()))).ok()
    }
}
