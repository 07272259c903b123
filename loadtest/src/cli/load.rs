//! How much load, and what is asked of it.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::{
    LabArgs, TargetArgs, TelemetryArgs,
    parse::{parse_body_bytes, parse_rate},
};
use crate::{
    floor::FloorFlag,
    lab::Broker,
    plan::{Bodies, Layout},
    require::RequireArgs,
    scenario::WorkloadArgs,
};

/// What `run` and `adr` share: a workload, what is required of it, and what is told of it.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Write the report as a page, too: one file that needs no network.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub workload: WorkloadArgs,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub require: RequireArgs,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub floor: FloorFlag,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub load: LoadArgs,
}

/// `adr`.
#[derive(Clone, Debug, Args)]
pub struct AdrArgs {
    /// Where the report is written as JSON [default: results/adr.json, with --all results/options.json].
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Exit with 0 even if a claim doesn't hold, provided that the run is valid and the audit is clean.
    #[arg(long)]
    pub exit_zero: bool,
    /// The claims [default: observability/budget.toml as it was when this program was built].
    #[arg(long, value_name = "FILE")]
    pub budget: Option<PathBuf>,
    /// Measure every option that the decision names, each in turn and under the same load, and what its outage does. Each has
    /// services of its own, whatever the environment names.
    #[arg(long, conflicts_with_all = ["target", "require", "fail_fast", "floor", "duration", "warm_up", "rate_steps", "servers", "trace_sample", "complete_at_least"], help_heading = "All options")]
    pub all: bool,
    /// How often each option is loaded, on a lab of its own each time.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u16).range(1..=100), requires = "all", help_heading = "All options")]
    pub rounds: u16,
    /// Seconds that are measured in each round, after a warm-up of five, or of twenty with Kafka.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u64).range(2..=600), requires = "all", help_heading = "All options")]
    pub seconds: u64,
    /// Of all options only these.
    #[arg(
        long,
        value_name = "OPTION,…",
        value_delimiter = ',',
        requires = "all",
        help_heading = "All options"
    )]
    pub options: Vec<Broker>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub load: LoadArgs,
}

/// `saturate`.
#[derive(Clone, Debug, Args)]
pub struct SaturateArgs {
    /// Publishing connections, spread evenly over the servers.
    #[arg(long, default_value_t = 48, value_parser = value_parser!(u16).range(1..=10_000))]
    pub publishers: u16,
    /// Channels.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=10_000))]
    pub channels: u16,
    /// Subscribing connections.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u16).range(1..=20_000))]
    pub subscribers: u16,
    /// For how many seconds.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(3..=600))]
    pub seconds: u64,
    /// Messages that each publisher keeps unacknowledged; no more than the server allows. With many, a
    /// commit brings more messages at once than a subscriber's queue holds, and the server cuts it off.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..))]
    pub outstanding: u16,
    /// Length of each message's text.
    #[arg(long, default_value_t = 200, value_parser = parse_body_bytes)]
    pub body_bytes: usize,
    /// Fail below so many acknowledged messages a second.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub at_least: Option<f64>,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `idle`.
#[derive(Clone, Debug, Args)]
pub struct IdleArgs {
    /// How many connections.
    #[arg(long, default_value_t = 5_000, value_parser = value_parser!(u16).range(1..=25_000))]
    pub connections: u16,
    /// For how many seconds they are held [default: a fifth longer than the server's idle timeout].
    #[arg(long)]
    pub hold: Option<u64>,
    /// Fail above so many KiB of resident memory for each connection.
    #[arg(long, value_name = "KIB", default_value_t = 25)]
    pub at_most: u64,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}

impl From<&SaturateArgs> for Layout {
    fn from(args: &SaturateArgs) -> Self {
        Self {
            channels: usize::from(args.channels),
            publishers: usize::from(args.publishers),
            subscribers: usize::from(args.subscribers),
            body_bytes: Bodies::Fixed(args.body_bytes),
            ..Self::default()
        }
    }
}
