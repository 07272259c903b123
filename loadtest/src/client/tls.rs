//! How a client makes sure that it talks to the right server, and no one listens.

use std::{fmt, fs, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, ensure};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_tungstenite::Connector;

/// Whom to believe, and by which name the servers go.
#[derive(Clone)]
pub struct Tls {
    name: String,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Believes a server whose certificate is for `name`, and that an authority in the PEM file vouches for.
    pub fn new(authorities: &Path, name: &str) -> anyhow::Result<Self> {
        let shown = authorities.display();
        let pem = fs::read(authorities).with_context(|| format!("can't read {shown}"))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.with_context(|| format!("{shown} is not in PEM format"))?)?;
        }
        ensure!(!roots.is_empty(), "{shown} holds no certificates in PEM format");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
        Ok(Self { name: name.to_owned(), config: Arc::new(config.with_no_client_auth()) })
    }

    /// The name that the certificate must be for stands in the URL.
    pub(super) fn base_url(&self, addr: SocketAddr) -> String {
        format!("wss://{}:{}", self.name, addr.port())
    }

    pub(super) fn connector(&self) -> Connector {
        Connector::Rustls(Arc::clone(&self.config))
    }
}
