//! What is shown of a run, and what it is worth.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, value_parser};

use super::{
    LabArgs, TRACES_FILE,
    parse::{parse_rate, parse_rounds, parse_share},
};
use crate::plan::{Layout, Workload};

/// What is shown of a run beside its report.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// The share of messages that are traced, from 0 to 1; 0 turns tracing off. On a lab the traces are kept; with
    /// --target they go where `OTEL_EXPORTER_OTLP_ENDPOINT` says, if it is set.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = parse_share)]
    pub trace_sample: f64,
    /// Fail if a smaller share of the traced and acknowledged messages has a complete trace, or if spans are unaccounted for.
    #[arg(long, value_name = "SHARE", value_parser = parse_share, conflicts_with = "target")]
    pub complete_at_least: Option<f64>,
    /// Where the slowest traces of a run on a lab are written, as OTLP's JSON.
    #[arg(long, value_name = "FILE", default_value = TRACES_FILE)]
    pub traces: PathBuf,
    /// Where the spans of a run with --target go, if not where the other `OTEL_` variables say.
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Serve metrics of the run at this address while it goes on, under `/metrics`, as `OpenMetrics`.
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,
}

/// `views`. Needs Prometheus.
#[derive(Clone, Debug, Args)]
pub struct ViewsArgs {
    /// Messages a second, all of them traced.
    #[arg(long, default_value_t = 200.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..=600))]
    pub duration: u64,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}

/// `calibrate`.
#[derive(Clone, Debug, Args)]
pub struct CalibrateArgs {
    /// How long each message is held in the hop whose turn it is, in milliseconds.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(5..=1_000))]
    pub delay_ms: u64,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub views: ViewsArgs,
}

/// `cost`. A round of the defaults takes two minutes.
#[derive(Clone, Debug, Args)]
pub struct CostArgs {
    /// How often everything is measured: medians of fewer than seven have no interval.
    #[arg(long, default_value_t = 7, value_parser = parse_rounds)]
    pub rounds: usize,
    /// Messages a second.
    #[arg(long, default_value_t = 500.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Seconds that are measured at that rate.
    #[arg(long, default_value_t = 12, value_parser = value_parser!(u64).range(1..=600))]
    pub duration: u64,
    /// Seconds in which publishers then only wait for acknowledgements.
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u64).range(1..=600))]
    pub saturated: u64,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}

impl From<&ViewsArgs> for Workload {
    /// A subscriber for each channel and server, so that each delivery has a span. No warm-up: everything counts.
    fn from(args: &ViewsArgs) -> Self {
        const CHANNELS: usize = 10;
        let subscribers = CHANNELS * usize::from(args.lab.servers);
        Self {
            layout: Layout { channels: CHANNELS, subscribers, ..Self::default().layout },
            rate_per_s: args.rate,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(args.duration),
            ..Self::default()
        }
    }
}
