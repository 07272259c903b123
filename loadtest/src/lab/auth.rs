//! Who issues the tokens of a lab whose servers want some.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::Context;
use hopline::token::{Issuer, Secret};

const ISSUER: &str = "hopline-lab";
const AUDIENCE: &str = "hopline";

/// An issuer, and what tells the servers of it.
#[derive(Debug)]
pub(super) struct LabIssuer {
    pub(super) issuer: Issuer,
    server_args: Vec<String>,
}

impl LabIssuer {
    /// Makes up a secret, which only this user can read.
    pub(super) fn create(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("jwt-secret");
        let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(secret.as_bytes()))
            .context("can't write the lab's secret")?;
        let issuer = Issuer { secret: Secret::read(&path)?, name: ISSUER.into(), audience: AUDIENCE.into() };
        let flags = [("secret-file", &*path.to_string_lossy()), ("issuer", ISSUER), ("audience", AUDIENCE)];
        let flags = flags.map(|(name, value)| format!("--jwt-{name}={value}"));
        Ok(Self { issuer, server_args: ["--auth=jwt".to_owned()].into_iter().chain(flags).collect() })
    }

    /// What tells a load generator of it.
    pub(super) fn generator_args(&self) -> String {
        self.server_args[1..].join(" ")
    }

    /// What tells a server of it.
    pub(super) fn server_args(&self) -> impl Iterator<Item = &str> {
        self.server_args.iter().map(String::as_str)
    }
}
