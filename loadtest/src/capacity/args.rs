//! The command line of `capacity`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, value_parser};

use crate::cli::{LayoutArgs, TargetArgs, parse_rate, resolve};

/// `capacity`.
#[derive(Clone, Debug, Args)]
pub struct CapacityArgs {
    /// Messages a second with which the search begins.
    #[arg(long, value_name = "RATE", default_value_t = 200.0, value_parser = parse_rate)]
    pub from: f64,
    /// Messages a second above which it doesn't go.
    #[arg(long, value_name = "RATE", default_value_t = 50_000.0, value_parser = parse_rate)]
    pub to: f64,
    /// The search ends when it knows the rate to so many percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = value_parser!(u8).range(1..=50))]
    pub precision: u8,
    /// Seconds that a stage is measured; the confirming one lasts three times as long.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(2..=600))]
    pub stage: u64,
    /// The 99th percentile of `total` must stay below this, in milliseconds, instead of the claims.
    #[arg(long, value_name = "MS", conflicts_with_all = ["budget", "claim"])]
    pub p99_ms: Option<f64>,
    /// Only these latency claims count [default: all].
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub claim: Vec<String>,
    /// The claims [default: observability/budget.toml as it was when this program was built].
    #[arg(long, value_name = "FILE")]
    pub budget: Option<PathBuf>,
    /// Fail if the capacity is below this.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub at_least: Option<f64>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub layout: LayoutArgs,
    /// The admin addresses of the servers that --target names, to see which queue fills.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', value_parser = resolve, requires = "target")]
    pub admin: Vec<SocketAddr>,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub target: TargetArgs,
}
