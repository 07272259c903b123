//! The command line of `sweep`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::Parameter;
use crate::cli::{LabArgs, parse_body_bytes, parse_rate};

/// `sweep`.
#[derive(Clone, Debug, Args)]
pub struct SweepArgs {
    /// What grows.
    #[arg(value_enum)]
    pub parameter: Parameter,
    /// In these steps [default: some that suit the parameter].
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = value_parser!(u32).range(1..=65_536))]
    pub values: Vec<u32>,
    /// Messages a second.
    #[arg(long, default_value_t = 300.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Seconds that each step is measured.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u64).range(1..=600))]
    pub duration: u64,
    /// Channels.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u16).range(1..=10_000))]
    pub channels: u16,
    /// Subscribing connections of each channel.
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u16).range(1..=10_000))]
    pub subscribers: u16,
    /// Publishing connections, spread evenly over the servers.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u16).range(1..=10_000))]
    pub publishers: u16,
    /// Length of each message's text.
    #[arg(long, default_value_t = 200, value_parser = parse_body_bytes)]
    pub body_bytes: usize,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}
