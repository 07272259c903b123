//! The command line of `slow-client`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, value_parser};

use crate::{
    cli::{LabArgs, parse_rate, parse_rounds},
    plan::{Bodies, Layout, Spread, Workload},
};

const WARM_UP: Duration = Duration::from_secs(1);
/// Large enough that what a socket buffers is soon full.
const BODY_BYTES: usize = 1_000;

/// `slow-client`.
#[derive(Clone, Debug, Args)]
pub struct SlowClientArgs {
    /// Pairs of runs, one with a slow client and one without: medians of fewer than seven have no interval.
    #[arg(long, default_value_t = 15, value_parser = parse_rounds)]
    pub pairs: usize,
    /// The other subscribers of the slow one's channel, all on its server.
    #[arg(long, default_value_t = 500, value_parser = value_parser!(u16).range(1..=20_000))]
    pub subscribers: u16,
    /// Messages a second.
    #[arg(long, default_value_t = 25.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Seconds that each run is measured.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=600))]
    pub duration: u64,
    /// Frames that may wait for a client's socket: few, so that a slow one is closed several times in a run.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(8..=4096))]
    pub queue: u16,
    /// By so many percent the others' 99th percentile of `total` may rise.
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = value_parser!(u16).range(1..=1000))]
    pub rise: u16,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}

impl From<&SlowClientArgs> for Workload {
    fn from(args: &SlowClientArgs) -> Self {
        let layout = Layout {
            channels: 1,
            publishers: 3,
            subscribers: usize::from(args.subscribers),
            spread: Spread::OneServer,
            body_bytes: Bodies::Fixed(BODY_BYTES),
            ..Layout::default()
        };
        let duration = Duration::from_secs(args.duration);
        Self { layout, rate_per_s: args.rate, warm_up: WARM_UP, duration, ..Self::default() }
    }
}
