//! Commands that ask a running server: `hopline health` and `hopline fault`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use reqwest::{
    Client, Response, StatusCode,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use crate::{
    fault::{Delay, Switches},
    hop::Hop,
    token::{InvalidKey, Secret},
};

/// How long a server may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What went wrong. It says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// No answer.
    #[error("{0} does not answer ({1}); is the server running, and is this its address?")]
    NoAnswer(SocketAddr, String),
    /// Not ready.
    #[error("not ready: {0}")]
    NotReady(String),
    /// Faults can't be switched there.
    #[error(
        "this server's faults can't be switched: start it with --fault-switches, and ask on its own machine \
         or with its --admin-token-file"
    )]
    NotEnabled,
    /// The token's file can't be used.
    #[error("--admin-token-file: {0:?} {1}")]
    Token(PathBuf, InvalidKey),
    /// Refused.
    #[error("refused: {0}")]
    Refused(String),
}

/// Flags of `hopline health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The server's address for operators
    #[arg(long, env = "HOPLINE_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
}

/// Flags of `hopline fault`.
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// The server's address for operators
    #[arg(long, env = "HOPLINE_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
    /// File with the server's secret for operators, to ask from another machine
    #[arg(long, env = "HOPLINE_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Debug, Subcommand)]
enum Fault {
    /// Print how the switches stand
    Show,
    /// Switch everything off
    Clear,
    /// Hold every message in a hop; 0 ms lets them pass again
    Delay {
        /// The hop
        #[arg(value_parser = hops())]
        hop: String,
        /// For so many milliseconds
        delay_ms: u64,
        /// One after the other, so that a queue builds up
        #[arg(long)]
        serial: bool,
    },
    /// Lose a share of the messages from the broker, from 0 to 1
    Lose {
        /// The share
        share: f64,
    },
    /// Publish messages without their trace context: their traces end there
    LoseContext,
    /// Hold all that comes from the broker until `clear`
    Stall,
    /// Leave gaps open until `clear`: clients of this server wait
    NoHeal,
    /// Answer publishers shortly before the COMMIT until `clear`: a crash then loses what they believe is stored
    AckBeforeCommit,
    /// Crash right after the next COMMIT, which is neither published nor answered
    CrashAfterCommit,
    /// Crash right after the next publish from the outbox, where the messages stay
    CrashAfterPublish,
}

/// Prints nothing if the server is ready.
pub async fn health(args: &HealthArgs) -> Result<(), OperateError> {
    let question = client(HeaderMap::new())?.get(format!("http://{}/readyz", local(args.admin)));
    let answer = answer(args.admin, question).await?;
    match answer.status() {
        StatusCode::OK => Ok(()),
        _ => Err(OperateError::NotReady(answer.text().await.unwrap_or_default())),
    }
}

/// Changes a switch, and prints how all of them stand then.
pub async fn fault(args: &FaultArgs) -> Result<(), OperateError> {
    let url = format!("http://{}/faults", local(args.admin));
    let client = client(authorization(args)?)?;
    let answered = answer(args.admin, client.get(&url)).await?;
    if answered.status() == StatusCode::NOT_FOUND {
        return Err(OperateError::NotEnabled);
    }
    let unreadable = |error: reqwest::Error| OperateError::NoAnswer(args.admin, error.to_string());
    let mut switches: Switches = answered.json().await.map_err(unreadable)?;
    if switch(&mut switches, &args.fault) {
        let answered = answer(args.admin, client.put(&url).json(&switches)).await?;
        if !answered.status().is_success() {
            return Err(OperateError::Refused(answered.text().await.unwrap_or_default()));
        }
    }
    println!("{}", serde_json::json!(switches));
    Ok(())
}

/// Whatever proxy the environment names is not for this machine.
fn client(headers: HeaderMap) -> Result<Client, OperateError> {
    Client::builder()
        .no_proxy()
        .default_headers(headers)
        .build()
        .map_err(|error| OperateError::Refused(error.to_string()))
}

fn authorization(args: &FaultArgs) -> Result<HeaderMap, OperateError> {
    let mut headers = HeaderMap::new();
    if let Some(file) = &args.admin_token_file {
        let secret = Secret::read(file).map_err(|error| OperateError::Token(file.clone(), error))?;
        let bearer = [b"Bearer ", secret.as_bytes()].concat();
        let not_a_header = |_| OperateError::Token(file.clone(), InvalidKey::Unprintable);
        let mut value = HeaderValue::from_bytes(&bearer).map_err(not_a_header)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Returns whether anything is to be changed.
fn switch(switches: &mut Switches, fault: &Fault) -> bool {
    match fault {
        Fault::Show => return false,
        Fault::Clear => *switches = Switches::default(),
        Fault::Delay { hop, delay_ms, serial } => {
            let hop = Hop::ALL.into_iter().find(|known| known.as_str() == hop).expect("clap has checked it");
            switches.delays.remove(&hop);
            if *delay_ms > 0 {
                switches.delays.insert(hop, Delay { delay_ms: *delay_ms, serial: *serial });
            }
        }
        Fault::Lose { share } => switches.lost_share = *share,
        Fault::LoseContext => switches.lose_context = true,
        Fault::Stall => switches.stall_subscriber = true,
        Fault::NoHeal => switches.no_heal = true,
        Fault::AckBeforeCommit => switches.ack_before_commit = true,
        Fault::CrashAfterCommit => switches.crash_after_commit = true,
        Fault::CrashAfterPublish => switches.crash_after_publish = true,
    }
    true
}

fn hops() -> PossibleValuesParser {
    Hop::ALL.into_iter().filter(|hop| *hop != Hop::Total).map(Hop::as_str).collect::<Vec<_>>().into()
}

async fn answer(address: SocketAddr, request: reqwest::RequestBuilder) -> Result<Response, OperateError> {
    let answer = request.timeout(ANSWER_LIMIT).send().await;
    answer.map_err(|error| OperateError::NoAnswer(address, error.without_url().to_string()))
}

/// A server that listens on all addresses is asked on loopback.
fn local(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}
