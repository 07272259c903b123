//! The command lines of `compare` and `ab`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::Limits;
use crate::cli::LabArgs;

/// What counts as a change.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// The smallest change that matters, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = parse_percent)]
    pub min_effect: f64,
    /// A latency that changes by less than this doesn't matter, in milliseconds, whatever that is in percent.
    #[arg(long, value_name = "MS", default_value_t = 0.02, value_parser = parse_ms)]
    pub min_effect_ms: f64,
    /// By how much runs of the same build differ here: the standard deviation of 5th percentiles, in percent. Only for
    /// fewer than three runs a side: more of them show it.
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = parse_percent)]
    pub run_noise: f64,
}

/// `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// The reports of two runs, as --json writes them: what was, and what is.
    #[arg(value_name = "BASELINE CANDIDATE", num_args = 2, required_unless_present_all = ["baseline", "candidate"],
          conflicts_with_all = ["baseline", "candidate"])]
    pub files: Vec<PathBuf>,
    /// Several runs of what was.
    #[arg(long, value_name = "FILE,…", value_delimiter = ',', requires = "candidate")]
    pub baseline: Vec<PathBuf>,
    /// Several runs of what is. If there are as many, the first is compared with the first, and so on.
    #[arg(long, value_name = "FILE,…", value_delimiter = ',', requires = "baseline")]
    pub candidate: Vec<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `ab`.
#[derive(Clone, Debug, Args)]
pub struct AbArgs {
    /// The server's binary as it was.
    #[arg(long, value_name = "FILE")]
    pub baseline: PathBuf,
    /// The server's binary as it is.
    #[arg(long, value_name = "FILE")]
    pub candidate: PathBuf,
    /// On how many labs they are compared. A lab with an invalid turn doesn't count, and up to as many more are started.
    #[arg(long, default_value_t = 15, value_parser = value_parser!(u16).range(3..=1_000))]
    pub labs: u16,
    /// How often each is loaded on a lab, in turn with the other one.
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u16).range(1..=100))]
    pub turns: u16,
    /// Messages a second.
    #[arg(long, default_value_t = 300.0, value_parser = crate::cli::parse_rate)]
    pub rate: f64,
    /// Seconds that are measured in each turn.
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(2..=600))]
    pub duration: u64,
    /// Write the report of each turn to this folder, too.
    #[arg(long, value_name = "FOLDER")]
    pub runs: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}

impl From<&LimitArgs> for Limits {
    fn from(args: &LimitArgs) -> Self {
        Self {
            min_effect: args.min_effect / 100.0,
            min_effect_ms: args.min_effect_ms,
            run_noise: args.run_noise / 100.0,
        }
    }
}

fn parse_percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a number from 0 to 100".to_owned()),
    }
}

fn parse_ms(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ms) if (0.0..=60_000.0).contains(&ms) => Ok(ms),
        _ => Err("milliseconds from 0 to 60000".to_owned()),
    }
}
