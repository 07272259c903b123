//! Certificates of a test's own authority, as PEM.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use uuid::Uuid;

/// An authority that only those know who are given its certificate.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Authorities of one name would be taken for one another, until a signature turns out wrong.
        params.distinguished_name.push(DnType::CommonName, Uuid::new_v4().to_string());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder: tempfile::tempdir().unwrap() }
    }

    /// The file that makes others believe in what this authority issues.
    pub(crate) fn file(&self) -> PathBuf {
        self.write("authority.pem", &self.issuer.pem())
    }

    /// Vouches for a name or an address.
    pub(crate) fn vouch_for(&self, name: &str) -> Identity {
        self.issue(name, 4096)
    }

    /// The same, but it was true until years ago.
    pub(crate) fn once_vouched_for(&self, name: &str) -> Identity {
        self.issue(name, 2001)
    }

    /// Writes the certificate and the key to files.
    pub(crate) fn write_identity(&self, Identity { certificate, key }: &Identity) -> [PathBuf; 2] {
        [self.write("certificate.pem", certificate), self.write("key.pem", key)]
    }

    fn issue(&self, name: &str, until_year: i32) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}
