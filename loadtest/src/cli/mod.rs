//! The command line.

mod lab;
mod layout;
mod load;
mod parse;
mod telemetry;
mod tools;

use clap::{Parser, Subcommand};

pub(crate) use self::parse::{parse_body_bytes, parse_rate, parse_rounds, resolve};
pub use self::{
    lab::{KeptLabArgs, LabArgs, TargetArgs},
    layout::LayoutArgs,
    load::{AdrArgs, IdleArgs, LoadArgs, RunArgs, SaturateArgs},
    telemetry::{CalibrateArgs, CostArgs, TelemetryArgs, ViewsArgs},
    tools::{DoctorArgs, RenderArgs, TraceArgs, WhichTrace},
};
pub use crate::{
    bandwidth::BandwidthArgs,
    capacity::CapacityArgs,
    compare::{AbArgs, CompareArgs, LimitArgs},
    drill::DrillArgs,
    floor::{FloorArgs, FloorFlag},
    overload::OverloadArgs,
    slow_client::SlowClientArgs,
    soak::SoakArgs,
    sweep::{Parameter, SweepArgs},
};
use crate::{drill::drills, exit, pacer::PacerArgs};

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
  hopline-loadtest run --scenario loadtest/scenarios/zipf.toml --require 'total.p99 < 25ms'
  hopline-loadtest capacity                              up to which rate does the budget hold?
  hopline-loadtest ab --baseline OLD --candidate NEW     which hop became slower?
  hopline-loadtest saturate                              how many durable messages a second?
  hopline-loadtest drill all                             what happens when things break?
  hopline-loadtest idle                                  what does an idle connection cost?
  hopline-loadtest overload                              what if far too much comes?
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
    /// Measure how late the generator itself is: its clockwork alone, without servers.
    Pacer(PacerArgs),
    /// Compare three views of one run, hop by hop: what clients measured, Prometheus, and the spans.
    #[command(after_help = exit::HELP)]
    Views(ViewsArgs),
    /// Delay each hop in turn, and compare by how much each hop moved in all three views.
    #[command(after_help = exit::HELP)]
    Calibrate(CalibrateArgs),
    /// Measure what telemetry costs, from none to every message traced, and with collectors that don't work.
    #[command(after_help = exit::HELP)]
    Cost(CostArgs),
    /// Say what changed between two builds, by the reports of their runs, and which hop moved.
    #[command(after_help = exit::HELP)]
    Compare(CompareArgs),
    /// Run two builds of the server in turn, and compare them.
    #[command(after_help = exit::HELP)]
    Ab(AbArgs),
    /// Find the highest rate that keeps the budget, and what runs out first above it.
    #[command(after_help = exit::HELP)]
    Capacity(CapacityArgs),
    /// Offer far more than the servers can do, and see that they say so early, stay small, and recover by themselves.
    #[command(after_help = exit::HELP)]
    Overload(OverloadArgs),
    /// Let one client among many not read, and see what the others notice, and whether it gets everything after all.
    #[command(after_help = exit::HELP)]
    SlowClient(SlowClientArgs),
    /// Measure what this machine can do at best: bare PostgreSQL, bare Redis, bare WebSockets.
    #[command(after_help = exit::HELP)]
    Floor(FloorArgs),
    /// Measure what a topic for each channel saves of the broker's bytes, over servers and subscribers, beside the model.
    #[command(after_help = exit::HELP)]
    Bandwidth(BandwidthArgs),
    /// Let one parameter grow in steps, and show what it costs.
    #[command(after_help = exit::HELP)]
    Sweep(SweepArgs),
    /// Break something on purpose, under load: everything acknowledged must still arrive, once and in order.
    #[command(after_help = format!("{}\n\n{}", drills(), exit::HELP))]
    Drill(DrillArgs),
    /// Load a lab for a long time, break something at random each minute, and see that nothing is lost and nothing grows.
    #[command(after_help = exit::HELP)]
    Soak(SoakArgs),
    /// Say which programs are there, what is missing and how to get it; or check a running stack from end to end.
    #[command(after_help = exit::HELP)]
    Doctor(DoctorArgs),
    /// Write what is generated from observability/budget.toml: bounds, rules and alerts, and their tests.
    #[command(after_help = exit::HELP)]
    Render(RenderArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The generator's command in the stack of containers, with the variables' defaults and servers that resolve here.
    fn command_of_compose() -> Vec<String> {
        let compose = include_str!("../../../compose/compose.yaml");
        let lines = compose.lines().skip_while(|line| line.trim() != "- hopline-loadtest");
        let items = lines.map_while(|line| line.trim().strip_prefix("- ")).map(|item| {
            let (item, _) = item.split_once(" #").unwrap_or((item, ""));
            match item.split_once("${") {
                Some((flag, variable)) => {
                    let (_, default) = variable.trim_end_matches('}').split_once(":-").unwrap();
                    format!("{flag}{default}")
                }
                None => ["server-a", "server-b", "server-c"]
                    .iter()
                    .fold(item.to_owned(), |item, name| item.replace(name, "127.0.0.1")),
            }
        });
        items.collect()
    }

    #[test]
    fn the_stack_of_containers_gives_flags_that_there_are() {
        let Command::Run(args) = Cli::parse_from(command_of_compose()).command else { unreachable!() };
        assert_eq!(args.load.target.target.len(), 3);
        assert_eq!(args.load.telemetry.trace_sample.to_string(), "0.1");
    }

    #[test]
    fn complete_traces_are_asked_of_a_lab_only() {
        let parse = |args: &[&str]| Cli::try_parse_from(["hopline-loadtest", "run"].iter().chain(args));
        assert!(parse(&["--complete-at-least", "0.999"]).is_ok());
        assert!(parse(&["--complete-at-least", "0.999", "--target", "127.0.0.1:8080"]).is_err());
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
}
