//! TLS for clients: who speaks it is served, everyone else is turned away, counted and forgotten.

use std::{net::SocketAddr, sync::Arc};

use hopline_loadtest::{
    client::{Client, ClientError, Tls},
    lab::{Lab, Server},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    Peer, ask_and_never_read,
    certificates::{Authority, Identity},
    lab_with, metric, metric_reaches, soon,
};

/// The name of the servers in their certificates.
const NAME: &str = "chat.example";
const HANDSHAKES: &str = "hopline_tls_handshakes_total";

/// A server that shows a certificate, with further flags.
async fn start(lab: &Lab, authority: &Authority, identity: &Identity, args: &[&str]) -> Arc<Server> {
    let [certificate, key] = authority.write_identity(identity);
    let certificate = format!("--tls-cert-file={}", certificate.display());
    let key = format!("--tls-key-file={}", key.display());
    let args: Vec<&str> = [&*certificate, &*key].into_iter().chain(args.iter().copied()).collect();
    lab.start_server("a", &args).await.unwrap()
}

/// What a client says whose certificate check fails.
async fn refusal(address: SocketAddr, tls: &Tls) -> String {
    match Client::connect_tls(address, "alice", tls).await {
        Err(ClientError::Connect { reason, .. }) => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Reads until the server closes; what it says then, if anything, is no HTTP.
async fn turned_away(mut socket: TcpStream) {
    let mut answer = Vec::new();
    // A connection that is reset is as closed as one that ends.
    let _ = soon("the end of the connection", socket.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_talk_encrypted_and_health_and_metrics_are_asked_as_ever() {
    let (lab, authority) = (lab_with(0, &[]).await, Authority::new());
    let server = start(&lab, &authority, &authority.vouch_for(NAME), &[]).await;
    let tls = Tls::new(&authority.file(), NAME).unwrap();
    let connect = |sender| Client::connect_tls(server.public_addr(), sender, &tls);
    let mut reader = Peer(connect("reader").await.unwrap());
    reader.subscribe("general", None).await;
    let mut alice = Peer(connect("alice").await.unwrap());
    for seq in 1..=10 {
        assert_eq!(alice.publish("general", &"x".repeat(4000)).await.seq, seq);
    }
    reader.receives(1..=10).await;
    metric_reaches(server.admin_addr(), HANDSHAKES, &["done"], 2.0).await;
    let health = std::process::Command::new(env!("CARGO_BIN_EXE_hopline"))
        .args(["health", "--admin", &server.admin_addr().to_string()])
        .status();
    assert!(health.unwrap().success());
    assert!(soon("the shutdown", server.terminate()).await.unwrap().success());
    assert_eq!(reader.closed().await.code, Some(4000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_believe_the_certificate_stays_away_and_is_counted() {
    let (lab, authority) = (lab_with(0, &[]).await, Authority::new());
    let server = start(&lab, &authority, &authority.vouch_for(NAME), &[]).await;
    let (address, admin) = (server.public_addr(), server.admin_addr());
    let elsewhere = Tls::new(&authority.file(), "other.example").unwrap();
    let wrong_name = refusal(address, &elsewhere).await;
    assert!(wrong_name.contains("certificate not valid for name"), "{wrong_name}");
    let stranger = Tls::new(&Authority::new().file(), NAME).unwrap();
    let unknown = refusal(address, &stranger).await;
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    metric_reaches(admin, HANDSHAKES, &["refused"], 2.0).await;
    drop(lab);

    let lab = lab_with(0, &[]).await;
    let server = start(&lab, &authority, &authority.once_vouched_for(NAME), &[]).await;
    let expired = refusal(server.public_addr(), &Tls::new(&authority.file(), NAME).unwrap()).await;
    assert!(expired.contains("expired"), "{expired}");
    metric_reaches(server.admin_addr(), HANDSHAKES, &["refused"], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_no_tls_or_is_slow_with_it_is_turned_away_and_takes_no_place() {
    let (lab, authority) = (lab_with(0, &[]).await, Authority::new());
    let limits = ["--http-connections-max=2", "--request-timeout-ms=500"];
    let server = start(&lab, &authority, &authority.vouch_for(NAME), &limits).await;
    let (address, admin) = (server.public_addr(), server.admin_addr());

    let not_tls: [&[u8]; 3] = [b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", &[0xff; 64], b"\n\n\n\n\n\n\n\n"];
    for bytes in not_tls {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        turned_away(socket).await;
    }
    metric_reaches(admin, HANDSHAKES, &["not_tls"], 3.0).await;

    // A hello that announces more than it brings, and no hello at all: they take both places, until it is too late.
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    let silent = TcpStream::connect(address).await.unwrap();
    let tls = Tls::new(&authority.file(), NAME).unwrap();
    let mut alice = Peer(Client::connect_tls(address, "alice", &tls).await.unwrap());
    assert!(metric(admin, HANDSHAKES, &["late"]).await >= 1.0);
    turned_away(slow).await;
    turned_away(silent).await;
    metric_reaches(admin, HANDSHAKES, &["late"], 2.0).await;

    drop(TcpStream::connect(address).await.unwrap());
    metric_reaches(admin, HANDSHAKES, &["closed"], 1.0).await;
    assert_eq!(alice.publish("general", "x").await.seq, 1);
    metric_reaches(admin, HANDSHAKES, &[], 7.0).await;
}

/// A connection that is encrypted, and over which nothing has been said yet.
async fn encrypted(address: SocketAddr, authority: &Authority) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.file()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    let shaken = TlsConnector::from(Arc::new(config)).connect(NAME.try_into().unwrap(), socket);
    soon("the handshake", shaken).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_read_its_encrypted_answers_is_cut_off_and_counted() {
    let (lab, authority) = (lab_with(0, &[]).await, Authority::new());
    let server = start(&lab, &authority, &authority.vouch_for(NAME), &["--request-timeout-ms=500"]).await;
    ask_and_never_read(encrypted(server.public_addr(), &authority).await, "/livez").await;
    metric_reaches(server.admin_addr(), "hopline_answers_unread_total", &[], 1.0).await;
}
