//! Where the load goes: a lab's flags, or servers that are named.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, value_parser};

use super::{TRACES_FILE, parse::resolve};
use crate::{
    credentials::CredentialsArgs,
    lab::{Broker, LabOptions},
};

/// The lab.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Lab")]
pub struct LabArgs {
    /// How many servers the lab has.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u16).range(1..=26))]
    pub servers: u16,
    /// The server's binary [default: built by Cargo if this runs under it, else the one beside this program].
    #[arg(long, env = "HOPLINE_BIN", value_name = "FILE")]
    pub server_binary: Option<PathBuf>,
    /// A PostgreSQL to use instead of a private one.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// A Redis to use instead of a private one; the servers meet on a topic of their own.
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// The servers' way to one another; `local` is for a single one.
    #[arg(long, env = "HOPLINE_BROKER", value_name = "NAME", value_enum, default_value_t)]
    pub broker: Broker,
    /// Let the lab's servers take tokens only, and give its clients some.
    #[arg(long)]
    pub auth: bool,
    /// Leave the lab's folder with its logs, until the next lab starts.
    #[arg(long)]
    pub keep: bool,
}

/// `lab`.
#[derive(Clone, Debug, Args)]
pub struct KeptLabArgs {
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
    /// Trace every message, and write the slowest traces to this file every few seconds.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = TRACES_FILE)]
    pub traces: Option<PathBuf>,
}

/// Where the load goes.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// Servers to load instead of a lab's: host:port, separated by commas.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', value_parser = resolve, conflicts_with_all = ["servers", "auth", "keep"], help_heading = "Lab")]
    pub target: Vec<SocketAddr>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub credentials: CredentialsArgs,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}

impl TargetArgs {
    /// How many servers there are.
    pub(crate) fn servers(&self) -> usize {
        if self.target.is_empty() { usize::from(self.lab.servers) } else { self.target.len() }
    }
}

impl From<&LabArgs> for LabOptions {
    fn from(args: &LabArgs) -> Self {
        Self {
            servers: usize::from(args.servers),
            server_binary: args.server_binary.clone(),
            database_url: args.database_url.clone(),
            redis_url: args.redis_url.clone(),
            broker: args.broker,
            auth: args.auth,
            keep: args.keep,
            ..Self::default()
        }
    }
}
