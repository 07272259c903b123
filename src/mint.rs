//! `hopline token`: makes a token, for trying out.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    protocol::SenderName,
    token::{InvalidKey, Issuer, PATTERNS_MAX, Pattern, Secret},
};

/// The longest time for which this makes a token: 30 days.
const LIFETIME_MAX: Duration = Duration::from_hours(30 * 24);

/// Flags of `hopline token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// File with the servers' secret
    #[arg(long, env = "HOPLINE_JWT_SECRET_FILE", value_name = "FILE")]
    secret_file: PathBuf,
    /// The servers' --jwt-issuer
    #[arg(long, env = "HOPLINE_JWT_ISSUER", value_name = "NAME")]
    issuer: String,
    /// The servers' --jwt-audience
    #[arg(long, env = "HOPLINE_JWT_AUDIENCE", value_name = "NAME")]
    audience: String,
    /// Who bears it
    #[arg(long, value_name = "NAME")]
    sub: SenderName,
    /// The channels that it may read: names, or beginnings with a star behind
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    read: Vec<Pattern>,
    /// The channels that it may write
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    write: Vec<Pattern>,
    /// How long it holds: 90s, 15m or 1h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    expires_in: Duration,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The secret's file can't be used.
    #[error("--secret-file: {0:?} {1}")]
    Secret(PathBuf, InvalidKey),
    /// No server would take it.
    #[error("--read and --write have at most {PATTERNS_MAX} patterns each")]
    Patterns,
}

/// Prints a token, and nothing else.
pub fn token(args: TokenArgs) -> Result<(), MintError> {
    if args.read.len().max(args.write.len()) > PATTERNS_MAX {
        return Err(MintError::Patterns);
    }
    let secret = Secret::read(&args.secret_file);
    let secret = secret.map_err(|error| MintError::Secret(args.secret_file, error))?;
    let issuer = Issuer { secret, name: args.issuer, audience: args.audience };
    println!("{}", issuer.token(args.sub, args.read, args.write, args.expires_in));
    Ok(())
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let unit = [("s", 1), ("m", 60), ("h", 3600)];
    let lifetime = unit.iter().find_map(|(unit, seconds)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs(count.checked_mul(*seconds)?))
    });
    let legal = lifetime.filter(|lifetime| (Duration::from_secs(1)..=LIFETIME_MAX).contains(lifetime));
    legal.ok_or_else(|| "a number and s, m or h; at most 720h".into())
}
