//! What clients come in with.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use hopline::{
    protocol::Token,
    token::{Issuer, Pattern, Secret},
};

/// Longer than any run: no token has to be renewed.
const LIFETIME: Duration = Duration::from_hours(48);

/// What clients come in with.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// A name that they make up: the servers take anyone.
    #[default]
    Name,
    /// One token for all of them, who then are one sender.
    Token(Token),
    /// A token for each, which allows what it needs and no more.
    Issuer(Issuer),
}

/// What a client needs a token for: channels, as a pattern.
#[derive(Clone, Copy, Debug)]
pub enum Need<'a> {
    /// Their messages.
    Read(&'a str),
    /// To publish to them.
    Write(&'a str),
}

impl Credentials {
    /// A sender's token; none where names will do.
    pub fn token(&self, sender: &str, need: Need<'_>) -> anyhow::Result<Option<Token>> {
        let issuer = match self {
            Self::Name => return Ok(None),
            Self::Token(token) => return Ok(Some(token.clone())),
            Self::Issuer(issuer) => issuer,
        };
        let pattern = |text: &str| text.parse::<Pattern>().map(|pattern| vec![pattern]);
        let (read, write) = match need {
            Need::Read(channels) => (pattern(channels)?, Vec::new()),
            Need::Write(channels) => (Vec::new(), pattern(channels)?),
        };
        Ok(Some(Token(issuer.token(sender.parse()?, read, write, LIFETIME))))
    }
}

/// What servers that want tokens are to be shown.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Tokens")]
pub struct CredentialsArgs {
    /// A token for all clients, as `hopline token` prints it; it has to allow all channels that begin with `load-`.
    #[arg(long, value_name = "FILE", conflicts_with = "jwt_secret_file")]
    pub token_file: Option<PathBuf>,
    /// The servers' secret: each client gets a token of its own.
    #[arg(long, env = "HOPLINE_JWT_SECRET_FILE", value_name = "FILE", requires_all = ["jwt_issuer", "jwt_audience"])]
    pub jwt_secret_file: Option<PathBuf>,
    /// The servers' --jwt-issuer.
    #[arg(long, env = "HOPLINE_JWT_ISSUER", value_name = "NAME")]
    pub jwt_issuer: Option<String>,
    /// The servers' --jwt-audience.
    #[arg(long, env = "HOPLINE_JWT_AUDIENCE", value_name = "NAME")]
    pub jwt_audience: Option<String>,
}

impl CredentialsArgs {
    /// Reads the file that is named; names will do if none is.
    pub(crate) fn read(&self) -> anyhow::Result<Credentials> {
        if let Some(file) = &self.token_file {
            let token =
                fs::read_to_string(file).with_context(|| format!("--token-file {}", file.display()))?;
            return Ok(Credentials::Token(Token(token.trim().to_owned())));
        }
        let Some(file) = &self.jwt_secret_file else {
            return Ok(Credentials::Name);
        };
        let secret = Secret::read(file).with_context(|| format!("--jwt-secret-file {}", file.display()))?;
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        Ok(Credentials::Issuer(Issuer {
            secret,
            name: name(&self.jwt_issuer),
            audience: name(&self.jwt_audience),
        }))
    }
}

#[cfg(test)]
mod tests {
    use hopline::token::{Key, Verifier};

    use super::*;

    #[test]
    fn a_minted_token_allows_what_it_is_for_and_no_more() {
        let secret = Secret::new(&[7; 32]).unwrap();
        let issuer = Issuer { secret: secret.clone(), name: "me".into(), audience: "chat".into() };
        let verifier = Verifier::new(&Key::Secret(secret), "me", "chat");
        let token = |need| Credentials::Issuer(issuer.clone()).token("load-1", need).unwrap().unwrap().0;
        let (mine, other) = ("load-a-1".parse().unwrap(), "general".parse().unwrap());
        let reader = verifier.verify(&token(Need::Read("load-a-*"))).unwrap();
        assert!(reader.may_read(&mine) && !reader.may_write(&mine) && !reader.may_read(&other));
        let writer = verifier.verify(&token(Need::Write("load-a-*"))).unwrap();
        assert!(writer.may_write(&mine) && !writer.may_read(&mine) && !writer.may_write(&other));
        assert_eq!(&*writer.sub, "load-1");
    }
}
