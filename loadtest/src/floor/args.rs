//! The command line of `floor`, and the flag that others have.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::cli::{LabArgs, parse_body_bytes};

/// `floor`.
#[derive(Clone, Debug, Args)]
pub struct FloorArgs {
    /// Operations of each kind that are measured, one after the other.
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u32).range(100..=1_000_000))]
    pub operations: u32,
    /// Recipients of a fan-out.
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u16).range(1..=5_000))]
    pub recipients: u16,
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

/// Whether a run is compared with what the machine can do at best.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct FloorFlag {
    /// Before the run, measure what the lab's PostgreSQL, its Redis and bare WebSockets can do at best here, and show each
    /// hop as a multiple of that.
    #[arg(long, conflicts_with = "target", help_heading = "Lab")]
    pub floor: bool,
}
