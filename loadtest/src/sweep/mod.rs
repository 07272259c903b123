//! How cost grows as work grows: one parameter in steps, all others as they are.

mod args;

use std::time::Duration;

use anyhow::ensure;
use clap::ValueEnum;
use serde::Serialize;

use crate::{
    identity::BODY_BYTES_MIN,
    latency::Summary,
    plan::{Bodies, Layout, Workload},
};
pub use args::SweepArgs;

/// Connections of a step, all in one process.
const SUBSCRIBERS_MAX: usize = 20_000;
const WARM_UP: Duration = Duration::from_secs(2);

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// Servers of the lab.
    Servers,
    /// Subscribing connections of each channel.
    Subscribers,
    /// Channels, each with as many subscribers as before.
    Channels,
    /// Length of each message's text, in bytes.
    Payload,
    /// Messages a second.
    Rate,
}

/// One step: what is done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) value: u32,
    pub(crate) servers: u16,
    pub(crate) workload: Workload,
}

/// What a step cost.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) value: u32,
    /// From the intended time until each recipient has it.
    pub(crate) total: Summary,
    /// From the commit until the publishing server has it from the broker.
    pub(crate) broadcast: Summary,
    pub(crate) acknowledged_per_s: f64,
    pub(crate) delivered_per_s: f64,
    /// Processor time of all servers.
    pub(crate) servers_us_per_delivery: Option<f64>,
    pub(crate) servers_us_per_message: Option<f64>,
    /// Bytes of envelopes that went to the broker for each message.
    pub(crate) broker_out_bytes_per_message: f64,
    /// Bytes of envelopes that came from it to all servers for each message.
    pub(crate) broker_in_bytes_per_message: f64,
    /// Why it proves nothing; empty if it is valid.
    pub(crate) invalid: Vec<String>,
}

impl Parameter {
    /// How reports spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Subscribers => "subscribers a channel",
            Self::Channels => "channels",
            Self::Payload => "payload, B",
            Self::Rate => "messages/s",
        }
    }

    const fn values(self) -> &'static [u32] {
        match self {
            Self::Servers => &[1, 2, 3, 4, 6, 8],
            Self::Subscribers => &[1, 3, 6, 12, 24],
            Self::Channels => &[1, 10, 50, 200],
            Self::Payload => &[50, 200, 1_000, 4_000, 16_000],
            Self::Rate => &[100, 200, 400, 800],
        }
    }
}

/// All steps. An error says which one is impossible.
pub(crate) fn steps(args: &SweepArgs) -> anyhow::Result<Vec<Step>> {
    let values = if args.values.is_empty() { args.parameter.values() } else { &args.values };
    values.iter().map(|&value| step(args, value)).collect()
}

fn step(args: &SweepArgs, value: u32) -> anyhow::Result<Step> {
    let is = |parameter| args.parameter == parameter;
    let or = |parameter, otherwise: usize| if is(parameter) { value as usize } else { otherwise };
    let servers = or(Parameter::Servers, usize::from(args.lab.servers));
    let channels = or(Parameter::Channels, usize::from(args.channels));
    let subscribers = or(Parameter::Subscribers, usize::from(args.subscribers)) * channels;
    let body_bytes = or(Parameter::Payload, args.body_bytes);
    ensure!(servers <= 26, "a lab has at most 26 servers");
    ensure!(channels <= 10_000, "there may be at most 10000 channels");
    ensure!(subscribers <= SUBSCRIBERS_MAX, "{subscribers} subscribers are more than {SUBSCRIBERS_MAX}");
    ensure!(body_bytes >= BODY_BYTES_MIN, "a text has at least {BODY_BYTES_MIN} bytes");
    let layout = Layout {
        channels,
        publishers: usize::from(args.publishers),
        subscribers,
        body_bytes: Bodies::Fixed(body_bytes),
        ..Layout::default()
    };
    let workload = Workload {
        layout,
        rate_per_s: if is(Parameter::Rate) { f64::from(value) } else { args.rate },
        warm_up: WARM_UP,
        duration: Duration::from_secs(args.duration),
        ..Workload::default()
    };
    Ok(Step { value, servers: u16::try_from(servers)?, workload })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn steps_of(args: &[&str]) -> anyhow::Result<Vec<Step>> {
        let cli = Cli::parse_from(["hopline-loadtest", "sweep"].iter().chain(args));
        let Command::Sweep(args) = cli.command else { unreachable!() };
        steps(&args)
    }

    #[test]
    fn one_parameter_grows_and_all_others_stay() {
        let steps = steps_of(&["channels", "--values", "10,20"]).unwrap();
        assert_eq!(steps[1].workload.layout.subscribers, 120);
        let mut other = steps[1].clone();
        (other.value, other.workload.layout.channels, other.workload.layout.subscribers) = (10, 10, 60);
        assert_eq!(other, steps[0]);
        let servers = steps_of(&["servers"]).unwrap();
        assert_eq!(servers.iter().map(|step| step.servers).collect::<Vec<_>>(), [1, 2, 3, 4, 6, 8]);
        assert!(servers.iter().all(|step| step.workload == servers[0].workload));
    }

    #[test]
    fn impossible_steps_are_refused_before_anything_starts() {
        for args in
            [["servers", "--values", "27"], ["subscribers", "--values", "401"], ["payload", "--values", "3"]]
        {
            assert!(steps_of(&args).is_err(), "{args:?}");
        }
    }
}
