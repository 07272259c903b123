//! The command line of `overload`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::cli::{LabArgs, LayoutArgs, parse_rate};

/// `overload`.
#[derive(Clone, Debug, Args)]
pub struct OverloadArgs {
    /// Messages a second that are offered.
    #[arg(long, default_value_t = 5_000.0, value_parser = parse_rate)]
    pub rate: f64,
    /// For how many seconds.
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u32).range(5..=600))]
    pub duration: u32,
    /// Messages a second that all servers together can commit meanwhile: a fault in `persist` sees to it. Each server holds
    /// each message for a whole number of milliseconds.
    #[arg(long, default_value_t = 500, value_parser = value_parser!(u32).range(10..=5_000))]
    pub capacity: u32,
    /// Messages a second that are offered before and after, without the fault.
    #[arg(long, default_value_t = 250.0, value_parser = parse_rate)]
    pub quiet_rate: f64,
    /// For how many seconds, before and after each.
    #[arg(long, default_value_t = 15, value_parser = value_parser!(u32).range(10..=60))]
    pub quiet: u32,
    /// The 99th percentile of `total` of what was accepted must stay below this, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000.0)]
    pub p99_ms: f64,
    /// So must the resident memory of each server, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 300)]
    pub memory_mib: u64,
    /// After the overload `total` must be as before within so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub normal_within: u32,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub layout: LayoutArgs,
    /// Further arguments of every server, such as --persist-wait-max-ms=60000 to see what happens without that limit.
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub server_arg: Vec<String>,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}
