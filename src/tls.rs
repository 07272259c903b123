//! TLS on the listener for clients.

use std::{fmt, io, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::telemetry::{labels::HandshakeOutcome, metrics::metrics};

/// The server's certificate and key. They are read once: a new certificate takes a restart.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS 1.2 and 1.3, with HTTP/1.1 inside. Fails if the key is of no use, or not that of the first certificate.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Makes a connection an encrypted one within the limit, and counts what became of it.
    pub async fn handshake<S>(&self, stream: S, limit: Duration) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shaken = timeout(limit, self.0.accept(stream)).await;
        let shaken = shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        metrics().tls_handshakes.of(outcome(&shaken)).increment(1);
        shaken
    }
}

fn outcome<T>(shaken: &io::Result<T>) -> HandshakeOutcome {
    let Err(error) = shaken else { return HandshakeOutcome::Done };
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(_)) => HandshakeOutcome::Refused,
        Some(rustls::Error::InvalidMessage(_)) => HandshakeOutcome::NotTls,
        Some(_) => HandshakeOutcome::Incompatible,
        None if error.kind() == io::ErrorKind::TimedOut => HandshakeOutcome::Late,
        None => HandshakeOutcome::Closed,
    }
}
