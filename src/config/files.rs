//! What is read from files at the start: passwords and certificates.

use std::{fs, path::Path};

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::check::Checker;

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

    /// The content of a file.
    pub(super) fn file(&mut self, flag: &'static str, path: &Path) -> Option<Vec<u8>> {
        let read = || match fs::metadata(path)?.len() {
            0..=FILE_BYTES_MAX => fs::read(path),
            _ => Err(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes"))),
        };
        read().map_err(|error| self.add(flag, format!("can't read {}: {error}", path.display()))).ok()
    }
}
