//! One rate, tried.

use std::{net::SocketAddr, num::NonZero, thread::available_parallelism, time::Duration};

use hopline::hop::Hop;
use serde::Serialize;

use super::{
    Limit,
    resources::{QUEUES, Resources, Ticks},
};
use crate::{
    audit::audit,
    latency::{Key, Latencies, Measure, Series, Summary},
    plan::{Layout, Workload},
    progress::Progress,
    run::{self, Outcome, Target, Telemetry},
    scrape,
    validity::{self, SEND_LAG_P99_MS_MAX, SEND_LAG_SHARE_MAX},
};

const WARM_UP: Duration = Duration::from_secs(1);
/// A median that rises by both in a stage goes on rising: a queue builds up that the stage is too short to show.
const RISE_FACTOR: f64 = 2.0;
const RISE_MS: f64 = 10.0;
const TOTAL: Key = Key { measure: Measure::Hop(Hop::Total), origin: None, recipient: None };
const SEND_LAG: Key = Key { measure: Measure::SendLag, origin: None, recipient: None };

/// What came of a stage.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stage {
    pub(crate) rate_per_s: f64,
    pub(crate) seconds: u64,
    /// It confirms what was found.
    pub(crate) confirming: bool,
    pub(crate) total: Summary,
    pub(crate) resources: Resources,
    /// Which limits were exceeded; empty if the rate holds.
    pub(crate) exceeded: Vec<String>,
    /// Why it proves nothing: then the rate counts as one that doesn't hold.
    pub(crate) invalid: Vec<String>,
    /// What ran out, if it doesn't hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_out: Option<String>,
}

/// Where stages run.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) target: &'a Target,
    pub(crate) admin: &'a [SocketAddr],
    pub(crate) limits: &'a [Limit],
}

impl Stage {
    pub(crate) fn holds(&self) -> bool {
        self.exceeded.is_empty() && self.invalid.is_empty()
    }

    /// How it ended, and why.
    pub(crate) fn verdict(&self) -> String {
        match (&self.invalid[..], &self.exceeded[..]) {
            ([], []) if self.confirming => "holds, confirmed".to_owned(),
            ([], []) => "holds".to_owned(),
            ([], [why, ..]) => why.clone(),
            ([why, ..], _) => format!("INVALID: {why}"),
        }
    }

    /// Tries a rate.
    pub(crate) async fn run(
        bench: &Bench<'_>,
        rate_per_s: f64,
        seconds: u64,
        confirming: bool,
        progress: &mut Progress,
    ) -> anyhow::Result<Self> {
        let workload = Workload {
            layout: bench.layout.clone(),
            rate_per_s,
            warm_up: WARM_UP,
            duration: Duration::from_secs(seconds),
            ..Workload::default()
        };
        let before = Ticks::now();
        let run = run::run(&workload, bench.target, Telemetry::default(), progress);
        let (outcome, peaks) = scrape::peaks(bench.admin, QUEUES.map(|(metric, _)| metric), run).await;
        let (outcome, after) = (outcome?, Ticks::now());
        let queues = if bench.admin.is_empty() {
            Vec::new()
        } else {
            QUEUES.iter().zip(peaks).map(|((_, hop), peak)| (*hop, peak)).collect()
        };
        let latencies = Latencies::of(&outcome);
        let machine_busy = before.zip(after).map(|(before, after)| after.busy_since(before));
        let cores = available_parallelism().map_or(1, NonZero::get);
        let resources = Resources { cpu: outcome.cpu.clone(), machine_busy, cores, queues };
        let mut stage = Self {
            rate_per_s,
            seconds,
            confirming,
            total: latencies.get(TOTAL).map(Series::summary).unwrap_or_default(),
            resources,
            exceeded: exceeded(bench.limits, &outcome, &latencies),
            invalid: Vec::new(),
            first_out: None,
        };
        stage.doubt(bench.limits, &outcome, &latencies);
        if !stage.holds() {
            stage.first_out = Some(stage.first_out());
        }
        Ok(stage)
    }

    /// A generator that is late proves nothing; refused messages and lost connections prove that the rate doesn't hold.
    fn doubt(&mut self, limits: &[Limit], outcome: &Outcome, latencies: &Latencies) {
        let audit = audit(&outcome.evidence);
        if !audit.is_clean() {
            self.invalid.push("the audit found something; `run` at this rate shows what".to_owned());
        }
        self.invalid.extend(late(limits, latencies));
        self.invalid.extend(unmeasured(limits, latencies));
        // How late the generator may be was asked already.
        self.exceeded.extend(validity::reasons(None, &audit, latencies, &outcome.flaws));
    }

    fn first_out(&self) -> String {
        self.resources.first_out(self.rate_per_s)
    }
}

/// Lateness is part of `total`: it may be a small part of the limit only.
fn late(limits: &[Limit], latencies: &Latencies) -> Option<String> {
    let of_total = limits.iter().filter(|limit| limit.latency.hop == Hop::Total);
    let tightest_ms = of_total.map(|limit| limit.latency.limit_ms).reduce(f64::min);
    let max_ms = tightest_ms.map_or(SEND_LAG_P99_MS_MAX, |limit_ms| limit_ms * SEND_LAG_SHARE_MAX);
    let lag_ms = latencies.get(SEND_LAG)?.percentile_ms(99.0);
    (lag_ms > max_ms).then(|| {
        format!("the generator fell behind its schedule: p99 of send_lag is {lag_ms:.1} ms, the limit is {max_ms} ms")
    })
}

/// A limit of which nothing was measured is neither kept nor exceeded.
fn unmeasured(limits: &[Limit], latencies: &Latencies) -> impl Iterator<Item = String> {
    let is_open =
        |limit: &&Limit| latencies.get(limit.latency.key()).is_none_or(|series| series.count() == 0);
    limits.iter().filter(is_open).map(|limit| format!("{}: nothing was measured", limit.name))
}

/// Which limits a run exceeded.
fn exceeded(limits: &[Limit], outcome: &Outcome, latencies: &Latencies) -> Vec<String> {
    let judge = |limit: &Limit| {
        let measured = latencies.get(limit.latency.key())?.percentile_ms(limit.latency.percentile);
        (measured >= limit.latency.limit_ms)
            .then(|| format!("{}: {measured:.3} ms, not below {} ms", limit.name, limit.latency.limit_ms))
    };
    limits.iter().filter_map(judge).chain(rise(outcome)).collect()
}

fn rise(outcome: &Outcome) -> Option<String> {
    let window = &outcome.window_us;
    let third = (window.end - window.start) / 3;
    let median = |from: u32| {
        let part = Latencies::within(outcome, &(from..from + third));
        part.get(TOTAL).map(|series| series.percentile_ms(50.0))
    };
    let (first, last) = (median(window.start)?, median(window.end - third)?);
    (last > first * RISE_FACTOR && last > first + RISE_MS).then(|| {
        format!("the median of total rose from {first:.1} to {last:.1} ms in the stage: a queue builds up")
    })
}
