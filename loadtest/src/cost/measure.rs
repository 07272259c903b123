//! One setup in one round.

use std::time::Duration;

use hopline::hop::Hop;

use super::{Cost, Setup, setup::Collector};
use crate::{
    audit::audit,
    lab::{Lab, LabOptions},
    latency::{Key, Latencies, Measure, Series},
    plan::{Layout, Plan, Workload},
    progress::Progress,
    run::{self, ClosedLoop, Target, Telemetry},
    spans::Sampling,
    validity,
};

/// How much is done in a round.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    /// What the processor time and the latencies are measured with.
    pub(crate) workload: Workload,
    /// For how long publishers then only wait for acknowledgements.
    pub(crate) saturated: Duration,
    pub(crate) lab: LabOptions,
}

const OUTSTANDING: usize = 8;

/// Starts a lab of its own, so that nothing of the last setup is left.
pub(crate) async fn measure(setup: Setup, effort: &Effort, progress: &mut Progress) -> anyhow::Result<Cost> {
    let collector = setup.collector()?;
    let lab = Lab::start(LabOptions {
        otlp_endpoint: collector.endpoint(),
        server_args: setup.server_args(),
        ..effort.lab.clone()
    })
    .await?;
    // Whoever holds the store holds up the receiver's thread, as a frozen collector's would be.
    let frozen = match &collector {
        Collector::Working(receiver) if setup == Setup::Frozen => Some(receiver.store()),
        _ => None,
    };
    let cost = load(setup, effort, &lab, progress).await;
    // Nothing is left to be said to anyone, and those that wait for a collector would take seconds to end.
    lab.servers().iter().for_each(|server| server.kill());
    drop(frozen);
    cost
}

/// The generator does the same in all setups: every frame carries a context, which says whether its message is sampled,
/// and it makes no spans of its own.
async fn load(setup: Setup, effort: &Effort, lab: &Lab, progress: &mut Progress) -> anyhow::Result<Cost> {
    let target = Target::on(lab);
    let sampling = Some(Sampling::new(setup.sampled_share()));
    let telemetry = Telemetry { sampling, ..Telemetry::default() };
    let outcome = run::run(&effort.workload, &target, telemetry, progress).await?;
    let latencies = Latencies::of(&outcome);
    let audit = audit(&outcome.evidence);
    let planned = u64::from(Plan::new(&effort.workload).messages());
    let mut invalid = validity::reasons(Some(planned), &audit, &latencies, &outcome.flaws);
    let total = Key { measure: Measure::Hop(Hop::Total), origin: None, recipient: None };
    let total = latencies.get(total).map(Series::summary);
    let saturating = Layout { channels: 1, publishers: 48, subscribers: 3, ..Layout::default() };
    let closed_loop =
        ClosedLoop { layout: &saturating, outstanding: OUTSTANDING, duration: effort.saturated, sampling };
    let saturated = run::rate(&closed_loop, &target, progress).await?;
    invalid.extend(saturated.flaws);
    if total.is_none() || saturated.acknowledged_per_s <= 0.0 {
        invalid.push("nothing was exercised".into());
    }
    let messages = effort.workload.rate_per_s * effort.workload.duration.as_secs_f64();
    Ok(Cost {
        servers_us_per_message: outcome.cpu.servers_s.unwrap_or_default() * 1e6 / messages,
        saturated_per_s: saturated.acknowledged_per_s,
        total: total.unwrap_or_default(),
        invalid,
    })
}
