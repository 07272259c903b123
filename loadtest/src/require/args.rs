//! The flags.

use clap::Args;

use super::Requirement;

/// What a run must keep.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Verdicts")]
pub struct RequireArgs {
    /// Fail unless this holds: 'total.p99 < 25ms', 'acknowledged.rate >= 490/s', 'audit.lost = 0'. May be given
    /// several times. docs/LOADTEST.md lists the figures, as does an unknown one.
    #[arg(long, value_name = "FIGURE < VALUE", value_parser = Requirement::parse)]
    pub(crate) require: Vec<Requirement>,
    /// End the run as soon as a requirement can't be met any more, or a subscriber has missed a message.
    #[arg(long)]
    pub(crate) fail_fast: bool,
}
