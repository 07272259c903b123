//! The flags of a workload.

use std::time::Duration;

use clap::Args;

use super::{
    file::Scenario,
    numbers::{Rate, SECONDS_MAX, Whole},
    values::{BodiesValue, ChurnValue, PopularityValue, ReconnectValue, Steps},
};
use crate::plan::{Layout, Spread, Step, Workload};

/// Who talks to whom, and how much.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Workload")]
pub struct WorkloadArgs {
    /// A file that describes the workload; the other flags override it. docs/LOADTEST.md lists its keys.
    #[arg(long, value_name = "FILE", value_parser = Scenario::load)]
    pub(crate) scenario: Option<Scenario>,
    /// Messages a second, over all publishers, at a constant rate whatever the system does [default: 500].
    #[arg(long, conflicts_with = "rate_steps")]
    pub(crate) rate: Option<Rate>,
    /// Rates that follow one another, each for so many seconds; the warm-up has the first one.
    #[arg(long, value_name = "RATE:SECONDS,…")]
    pub(crate) rate_steps: Option<Steps>,
    /// Seconds that are measured [default: 30, or as long as the steps].
    #[arg(long)]
    pub(crate) duration: Option<Whole<1, SECONDS_MAX>>,
    /// Seconds before these that don't count for latency [default: 5].
    #[arg(long)]
    pub(crate) warm_up: Option<Whole<0, 600>>,
    /// Channels [default: 50].
    #[arg(long)]
    pub(crate) channels: Option<Whole<1, 10_000>>,
    /// How messages are spread over channels [default: uniform].
    #[arg(long, value_name = "uniform|zipf:EXPONENT|hot:SHARE")]
    pub(crate) popularity: Option<PopularityValue>,
    /// Publishing connections, spread evenly over the servers [default: 30].
    #[arg(long)]
    pub(crate) publishers: Option<Whole<1, 10_000>>,
    /// Subscribing connections, spread evenly over channels [default: 300].
    #[arg(long)]
    pub(crate) subscribers: Option<Whole<1, 20_000>>,
    /// How subscribers are spread over the servers [default: even].
    #[arg(long)]
    pub(crate) spread: Option<Spread>,
    /// This share of the subscribers drops its connection so often, comes back at once and recovers what it missed.
    #[arg(long, value_name = "SHARE:SECONDS")]
    pub(crate) reconnect: Option<ReconnectValue>,
    /// This share of the subscribers stays for a while, is then away, and joins again as new.
    #[arg(long, value_name = "SHARE:STAY:AWAY")]
    pub(crate) churn: Option<ChurnValue>,
    /// Length of each message's text [default: 200].
    #[arg(long, value_name = "BYTES|MIN-MAX")]
    pub(crate) body_bytes: Option<BodiesValue>,
    /// Decides which message goes to which channel [default: 1].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

impl From<&WorkloadArgs> for Workload {
    /// Flags come before the file, and that before the defaults.
    fn from(args: &WorkloadArgs) -> Self {
        let file = args.scenario.clone().unwrap_or_default();
        let default = Self::default();
        let (rate, steps) = match (args.rate, &args.rate_steps) {
            (Some(rate), _) => (Some(rate), None),
            (None, Some(steps)) => (None, Some(steps.clone())),
            (None, None) => (file.rate_per_s, file.steps.clone()),
        };
        let steps_last = steps.as_ref().map(|steps| Duration::from_secs_f64(steps.seconds()));
        let steps: Vec<Step> = steps.map_or_else(Vec::new, |steps| steps.0);
        let first_rate = steps.first().map(|step| step.rate_per_s);
        let whole = |seconds: u64| Duration::from_secs(seconds);
        // Steps that are given as a flag bring their own duration.
        let in_file = file.duration_s.filter(|_| args.rate_steps.is_none());
        let duration = args.duration.or(in_file).map(|seconds| whole(seconds.get()));
        let warm_up = args.warm_up.or(file.warm_up_s).map(|seconds| whole(seconds.get()));
        Self {
            layout: layout(args, &file),
            rate_per_s: rate.map(|rate| rate.0).or(first_rate).unwrap_or(default.rate_per_s),
            steps,
            warm_up: warm_up.unwrap_or(default.warm_up),
            duration: duration.or(steps_last).unwrap_or(default.duration),
        }
    }
}

fn layout(args: &WorkloadArgs, file: &Scenario) -> Layout {
    let default = Layout::default();
    Layout {
        channels: args.channels.or(file.channels).map_or(default.channels, Whole::size),
        popularity: args.popularity.or(file.popularity).map_or(default.popularity, Into::into),
        publishers: args.publishers.or(file.publishers).map_or(default.publishers, Whole::size),
        subscribers: args.subscribers.or(file.subscribers).map_or(default.subscribers, Whole::size),
        spread: args.spread.or(file.spread).unwrap_or(default.spread),
        reconnect: args.reconnect.or(file.reconnect).map(Into::into),
        churn: args.churn.or(file.churn).map(Into::into),
        body_bytes: args.body_bytes.or(file.body_bytes).map_or(default.body_bytes, |bodies| bodies.0),
        seed: args.seed.or(file.seed).unwrap_or(default.seed),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::Parser;

    use super::*;
    use crate::plan::{Bodies, Churn, Plan, Popularity, Reconnect};

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        workload: WorkloadArgs,
    }

    fn workload(flags: &[&str]) -> Workload {
        let flags = Flags::try_parse_from(["x"].iter().chain(flags)).expect("legal flags");
        Workload::from(&flags.workload)
    }

    fn scenarios() -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| path.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn without_flags_it_is_the_default() {
        assert_eq!(workload(&[]), Workload::default());
    }

    #[test]
    fn every_scenario_makes_a_plan_the_same_each_time() {
        let scenarios = scenarios();
        assert!(scenarios.len() >= 5, "{scenarios:?}");
        for scenario in scenarios {
            let workload = workload(&["--scenario", &scenario]);
            assert_ne!(workload, Workload::default(), "{scenario}");
            let (one, other) = (Plan::new(&workload), Plan::new(&workload));
            assert!(one.messages() > 1_000, "{scenario}");
            for index in 0..one.messages() {
                assert_eq!(one.channel(index), other.channel(index));
                assert!(one.intended(index) <= workload.warm_up + workload.duration);
            }
        }
    }

    #[test]
    fn flags_override_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        fs::write(
            &path,
            "seed = 7\nchannels = 3\nbody_bytes = { min = 50, max = 60 }\npopularity = { zipf = 1.1 }\n\
             [[step]]\nrate_per_s = 10\nseconds = 2\n[[step]]\nrate_per_s = 20\nseconds = 4\n",
        )
        .unwrap();
        let path = path.to_str().unwrap();
        let from_file = workload(&["--scenario", path]);
        assert_eq!((from_file.layout.seed, from_file.layout.channels), (7, 3));
        assert_eq!((from_file.rate_per_s, from_file.duration.as_secs()), (10.0, 6));
        let over = workload(&["--scenario", path, "--rate", "99", "--channels", "4", "--body-bytes", "70"]);
        assert_eq!((over.rate_per_s, over.steps.len(), over.duration.as_secs()), (99.0, 0, 30));
        assert_eq!((over.layout.channels, over.layout.seed), (4, 7));
        assert_eq!(over.layout.body_bytes, Bodies::Fixed(70));
        assert_eq!(over.layout.popularity, Popularity::Zipf(1.1));
        fs::write(path, "duration_s = 99").unwrap();
        assert_eq!(workload(&["--scenario", path, "--rate-steps", "5:2"]).duration.as_secs(), 2);
        let steps = workload(&["--rate-steps", "5:2,7:1.5", "--reconnect", "0.1:4", "--churn", "0.2:3:1"]);
        assert_eq!(steps.steps[1], Step { rate_per_s: 7.0, seconds: 1.5 });
        assert_eq!(steps.layout.reconnect, Some(Reconnect { share: 0.1, every_s: 4.0 }));
        assert_eq!(steps.layout.churn, Some(Churn { share: 0.2, stay_s: 3.0, away_s: 1.0 }));
    }

    #[test]
    fn impossible_flags_are_refused() {
        for flags in [
            ["--rate", "0"],
            ["--body-bytes", "3"],
            ["--body-bytes", "90-80"],
            ["--popularity", "zipf"],
            ["--popularity", "hot:1.5"],
            ["--reconnect", "0.1"],
            ["--churn", "0.1:1"],
            ["--rate-steps", "5"],
            ["--scenario", "/nowhere.toml"],
            ["--duration", "0"],
        ] {
            assert!(Flags::try_parse_from(["x"].iter().chain(&flags)).is_err(), "{flags:?}");
        }
    }
}
