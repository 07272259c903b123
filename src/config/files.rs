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

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;
    use crate::config::{ConfigErrors, parsed};

    const DATABASE: &str = "--database-url=postgres://u@h/d";
    const DATABASE_TLS: &str = "--database-url=postgres://u@h/d?sslmode=verify-full";
    const REDIS: &str = "--redis-url=redis://h/";
    const REDIS_TLS: &str = "--redis-url=rediss://h/";

    /// The problems' flags, and all that is shown of the configuration.
    fn check(flags: &[String]) -> (Vec<&'static str>, String) {
        let flags = [DATABASE, REDIS].into_iter().chain(flags.iter().map(String::as_str));
        match parsed(flags) {
            Ok(config) => (Vec::new(), format!("{config:?}")),
            Err(errors) => {
                let shown = errors.to_string();
                let ConfigErrors(problems) = errors;
                (problems.iter().map(|problem| problem.flag).collect(), shown)
            }
        }
    }

    /// A folder with two certificates and their keys, and files that are neither these nor passwords.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        for name in ["one", "two"] {
            let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
            write(&format!("{name}.pem"), &cert.pem());
            write(&format!("{name}.key"), &signing_key.serialize_pem());
        }
        write("lines", "one-secret\nanother-secret\n");
        write("empty", "\n");
        write("password", "one-secret\n");
        folder
    }

    #[test]
    fn files_that_are_not_what_they_should_be_are_named_and_their_content_is_not_shown() {
        let folder = folder();
        let cases: [(&[&str], &[&str]); 14] = [
            (&["--database-password-file=lines"], &["--database-password-file"]),
            (&["--redis-password-file=empty"], &["--redis-password-file"]),
            (&["--redis-password-file=none"], &["--redis-password-file"]),
            (&[DATABASE_TLS, "--database-ca-file=lines"], &["--database-ca-file"]),
            (&[REDIS_TLS, "--redis-ca-file=one.key"], &["--redis-ca-file"]),
            (&["--database-ca-file=one.pem"], &["--database-ca-file"]),
            (&["--redis-ca-file=one.pem"], &["--redis-ca-file"]),
            (&["--redis-url=rediss://h/#insecure"], &["--redis-url"]),
            (&["--tls-cert-file=one.pem"], &["--tls-key-file"]),
            (&["--tls-key-file=one.key"], &["--tls-cert-file"]),
            (&["--tls-cert-file=one.key", "--tls-key-file=one.pem"], &["--tls-cert-file", "--tls-key-file"]),
            (&["--tls-cert-file=one.pem", "--tls-key-file=two.key"], &["--tls-key-file"]),
            (&["--tls-cert-file=none", "--tls-key-file=lines"], &["--tls-cert-file", "--tls-key-file"]),
            (&["--tls-cert-file=.", "--redis-password-file=."], &["--tls-key-file", "--redis-password-file"]),
        ];
        for (flags, wrong) in cases {
            let (found, shown) = check(&below(&folder, flags));
            assert_eq!(found, wrong, "{flags:?}: {shown}");
            assert!(!shown.contains("secret") && !shown.contains("PRIVATE"), "{shown}");
        }
    }

    #[test]
    fn files_that_are_what_they_should_be_are_taken_and_their_content_is_not_shown() {
        let folder = folder();
        let flags = below(
            &folder,
            &[
                DATABASE_TLS,
                "--database-ca-file=one.pem",
                "--database-password-file=password",
                REDIS_TLS,
                "--redis-ca-file=two.pem",
                "--redis-password-file=password",
                "--tls-cert-file=one.pem",
                "--tls-key-file=one.key",
            ],
        );
        let (found, shown) = check(&flags);
        assert_eq!(found, [""; 0], "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("PRIVATE"), "{shown}");
    }

    /// The flags, with files in the folder.
    fn below(folder: &TempDir, flags: &[&str]) -> Vec<String> {
        let path = folder.path().display();
        flags.iter().map(|flag| flag.replace("-file=", &format!("-file={path}/"))).collect()
    }
}
