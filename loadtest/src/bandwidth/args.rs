//! The command line of `bandwidth`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::cli::{parse_body_bytes, parse_rate};

/// `bandwidth`.
#[derive(Clone, Debug, Args)]
pub struct BandwidthArgs {
    /// How many servers there are, in turn.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "2,4,8,16", value_parser = value_parser!(u16).range(1..=26))]
    pub servers: Vec<u16>,
    /// How many subscribers each channel has, in turn, each of them on another server as far as there are any.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2,4,8", value_parser = value_parser!(u16).range(1..=100))]
    pub subscribers: Vec<u16>,
    /// Messages a second.
    #[arg(long, default_value_t = 200.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Seconds that each point takes.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..=600))]
    pub duration: u64,
    /// Channels.
    #[arg(long, default_value_t = 48, value_parser = value_parser!(u16).range(1..=1_000))]
    pub channels: u16,
    /// Length of each message's text.
    #[arg(long, default_value_t = 200, value_parser = parse_body_bytes)]
    pub body_bytes: usize,
    /// The server's binary [default: built by Cargo if this runs under it, else the one beside this program].
    #[arg(long, env = "HOPLINE_BIN", value_name = "FILE")]
    pub server_binary: Option<PathBuf>,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one page for browsers, too: the model as lines, what was measured as dots.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl BandwidthArgs {
    /// How many subscribers there are with so many servers. More than servers would be on all of them, like as many.
    pub(crate) fn subscribers_of(&self, servers: u16) -> Vec<usize> {
        let few = self.subscribers.iter().filter(|count| **count <= servers);
        few.map(|&count| usize::from(count)).collect()
    }
}
