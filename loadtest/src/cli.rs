//! The command line.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, value_parser};

use crate::{
    exit,
    identity::BODY_BYTES_MIN,
    lab::LabOptions,
    plan::{Layout, Workload},
    stats::PAIRS_MIN,
};

/// Where traces are kept, below the folder in which the program runs.
const TRACES_FILE: &str = "results/traces.json";

const EXAMPLES: &str = "\
Examples:
  hopline-loadtest lab                                   a lab to play with, until Ctrl-C
  hopline-loadtest adr                                   which of the decision's claims hold?
  hopline-loadtest run --rate 5000 --channels 300        more load, one recipient a message
  hopline-loadtest run --channels 1 --subscribers 1000 --rate 100
  hopline-loadtest run --target 10.0.0.1:8080,10.0.0.2:8080 --json results/run.json
  hopline-loadtest trace slowest                         where did that run's slowest message spend its time?
  hopline-loadtest saturate                              how many durable messages a second?
  hopline-loadtest idle                                  what does an idle connection cost?
  hopline-loadtest render                                after a change of observability/budget.toml";

/// Starts a lab, loads it on a fixed schedule, audits every message, and says which of the architecture
/// decision's claims hold.
#[derive(Debug, Parser)]
#[command(version, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start PostgreSQL, Redis and servers on free loopback ports, and keep them until Ctrl-C.
    #[command(after_help = exit::HELP)]
    Lab(KeptLabArgs),
    /// Load servers on a fixed schedule, and report latencies hop by hop and the audit.
    #[command(after_help = exit::HELP)]
    Run(RunArgs),
    /// Run the workload and say which of the architecture decision's claims hold.
    #[command(after_help = exit::HELP)]
    Adr(AdrArgs),
    /// Publish as fast as acknowledgements come, and report how many durable messages a second that makes.
    #[command(after_help = exit::HELP)]
    Saturate(SaturateArgs),
    /// Draw a trace of the last `run` or `adr` on a lab: which server did what, when.
    #[command(after_help = exit::HELP)]
    Trace(TraceArgs),
    /// Open idle connections to one server, and report what each costs in memory.
    #[command(after_help = exit::HELP)]
    Idle(IdleArgs),
    /// Compare three views of one run, hop by hop: what clients measured, Prometheus, and the spans.
    #[command(after_help = exit::HELP)]
    Views(ViewsArgs),
    /// Delay each hop in turn, and compare by how much each hop moved in all three views.
    #[command(after_help = exit::HELP)]
    Calibrate(CalibrateArgs),
    /// Measure what telemetry costs, from none to every message traced, and with collectors that don't work.
    #[command(after_help = exit::HELP)]
    Cost(CostArgs),
    /// Say which programs are there, what is missing and how to get it; or check a running stack from end to end.
    #[command(after_help = exit::HELP)]
    Doctor(DoctorArgs),
    /// Write what is generated from observability/budget.toml: bounds, rules and alerts, and their tests.
    #[command(after_help = exit::HELP)]
    Render(RenderArgs),
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

/// `cost`. A round of the defaults takes three minutes.
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

/// What the doctor looks at.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Check the stack of compose/compose.yaml: send a message, find its trace in Jaeger and its metrics in Prometheus.
    #[arg(long)]
    pub compose: bool,
    /// Addresses of the stack's servers.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', value_parser = resolve,
          default_value = "127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083")]
    pub server: Vec<SocketAddr>,
    /// Where the stack's Prometheus is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    pub prometheus: String,
    /// Where the stack's Jaeger is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:16686")]
    pub jaeger: String,
    /// Where the stack's Grafana is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub grafana: String,
    /// Write the findings as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The lab.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Lab")]
pub struct LabArgs {
    /// How many servers the lab has.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u16).range(1..=26))]
    pub servers: u16,
    /// The server's binary [default: built by Cargo if this runs under it, else the one beside this program].
    #[arg(long, env = "HOPLINE_BIN", value_name = "FILE")]
    pub server_binary: Option<PathBuf>,
    /// A PostgreSQL to use instead of a private one.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// A Redis to use instead of a private one; the servers meet on a topic of their own.
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// Leave the lab's folder with its logs, until the next lab starts.
    #[arg(long)]
    pub keep: bool,
}

/// `lab`.
#[derive(Clone, Debug, Args)]
pub struct KeptLabArgs {
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
    /// Trace every message, and write the slowest traces to this file every few seconds.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = TRACES_FILE)]
    pub traces: Option<PathBuf>,
}

/// Where the load goes.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// Servers to load instead of a lab's: host:port, separated by commas.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', value_parser = resolve, conflicts_with_all = ["servers", "keep"])]
    pub target: Vec<SocketAddr>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub lab: LabArgs,
}

/// Who talks to whom, and how much.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Workload")]
pub struct WorkloadArgs {
    /// Messages a second, over all publishers, at a constant rate whatever the system does.
    #[arg(long, default_value_t = 500.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u64).range(1..=3_000))]
    pub duration: u64,
    /// Seconds before these that don't count for latency.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(0..=600))]
    pub warm_up: u64,
    /// Channels.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u16).range(1..=10_000))]
    pub channels: u16,
    /// Publishing connections, spread evenly over the servers.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u16).range(1..=10_000))]
    pub publishers: u16,
    /// Subscribing connections, spread evenly over channels and servers.
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u16).range(1..=20_000))]
    pub subscribers: u16,
    /// Length of each message's text.
    #[arg(long, default_value_t = 200, value_parser = parse_body_bytes)]
    pub body_bytes: usize,
    /// Decides which message goes to which channel.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What is shown of a run beside its report.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// The share of messages that are traced, from 0 to 1; 0 turns tracing off. On a lab the traces are kept; with
    /// --target they go where `OTEL_EXPORTER_OTLP_ENDPOINT` says, if it is set.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = parse_share)]
    pub trace_sample: f64,
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

/// `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub workload: WorkloadArgs,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as a page, too: one file that needs no network.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `adr`.
#[derive(Clone, Debug, Args)]
pub struct AdrArgs {
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub workload: WorkloadArgs,
    /// Where the report is written as JSON.
    #[arg(long, value_name = "FILE", default_value = "results/adr.json")]
    pub json: PathBuf,
    /// Write the report as a page, too: one file that needs no network.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Exit with 0 even if a claim doesn't hold, provided that the run is valid and the audit is clean.
    #[arg(long)]
    pub exit_zero: bool,
    /// The claims [default: observability/budget.toml as it was when this program was built].
    #[arg(long, value_name = "FILE")]
    pub budget: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub target: TargetArgs,
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

/// `render`.
#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    /// Write nothing, and fail if a file is not as the budget makes it.
    #[arg(long)]
    pub check: bool,
}

/// `trace`.
#[derive(Clone, Debug, Args)]
pub struct TraceArgs {
    /// A trace's identity or its beginning, or `slowest`.
    #[arg(value_name = "slowest|ID", value_parser = parse_trace)]
    pub trace: WhichTrace,
    /// Write the trace to a file that Jaeger's page takes under "Upload", instead of drawing it.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// Where the traces are.
    #[arg(long, value_name = "FILE", default_value = TRACES_FILE)]
    pub traces: PathBuf,
}

/// Which trace is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichTrace {
    /// The one whose message took longest.
    Slowest,
    /// The one whose identity begins like this.
    Id(String),
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
        }
    }
}

impl From<&LabArgs> for LabOptions {
    fn from(args: &LabArgs) -> Self {
        Self {
            servers: usize::from(args.servers),
            server_binary: args.server_binary.clone(),
            database_url: args.database_url.clone(),
            redis_url: args.redis_url.clone(),
            keep: args.keep,
            ..Self::default()
        }
    }
}

impl From<&WorkloadArgs> for Workload {
    fn from(args: &WorkloadArgs) -> Self {
        Self {
            layout: Layout {
                channels: usize::from(args.channels),
                publishers: usize::from(args.publishers),
                subscribers: usize::from(args.subscribers),
                body_bytes: args.body_bytes,
                seed: args.seed,
            },
            rate_per_s: args.rate,
            warm_up: Duration::from_secs(args.warm_up),
            duration: Duration::from_secs(args.duration),
        }
    }
}

impl From<&SaturateArgs> for Layout {
    fn from(args: &SaturateArgs) -> Self {
        Self {
            channels: usize::from(args.channels),
            publishers: usize::from(args.publishers),
            subscribers: usize::from(args.subscribers),
            body_bytes: args.body_bytes,
            seed: 1,
        }
    }
}

fn parse_rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds) if (PAIRS_MIN..=1000).contains(&rounds) => Ok(rounds),
        _ => Err(format!("a number from {PAIRS_MIN} to 1000")),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

fn parse_trace(text: &str) -> Result<WhichTrace, String> {
    if text == "slowest" {
        return Ok(WhichTrace::Slowest);
    }
    let is_id = (4..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        Ok(WhichTrace::Id(text.to_ascii_lowercase()))
    } else {
        Err("a trace's identity has 32 hexadecimal digits; its first 4 may do. Or say slowest".to_owned())
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1.0..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is a number from 1 to 100000".to_owned()),
    }
}

fn parse_body_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (BODY_BYTES_MIN..=65_536).contains(&bytes) => Ok(bytes),
        _ => Err(format!("a text has {BODY_BYTES_MIN} to 65536 bytes")),
    }
}

fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut addrs = text.to_socket_addrs().map_err(|error| error.to_string())?;
    addrs.next().ok_or_else(|| "no address".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_of_the_flags_are_those_of_the_workload() {
        let cli = Cli::parse_from(["hopline-loadtest", "run"]);
        let Command::Run(args) = cli.command else { unreachable!() };
        assert_eq!(Workload::from(&args.workload), Workload::default());
    }

    #[test]
    fn impossible_values_are_refused() {
        let impossible = [
            ["--rate", "0"],
            ["--body-bytes", "3"],
            ["--target", "nowhere"],
            ["--trace-sample", "1.1"],
            ["--trace-sample", "NaN"],
        ];
        for args in impossible {
            let args = ["hopline-loadtest", "run"].into_iter().chain(args);
            assert!(Cli::try_parse_from(args).is_err());
        }
    }

    #[test]
    fn a_trace_is_named_by_its_beginning() {
        let id = |text: &str| Ok(WhichTrace::Id(text.to_owned()));
        assert_eq!(parse_trace("slowest"), Ok(WhichTrace::Slowest));
        assert_eq!(parse_trace("4BF9"), id("4bf9"));
        let whole = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(parse_trace(whole), id(whole));
        for wrong in ["4bf", "slow", "4bf92f3577b34da6a3ce929d0e0e47361"] {
            assert!(parse_trace(wrong).is_err(), "{wrong}");
        }
    }
}
