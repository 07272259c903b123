//! One setup in one round.

use std::time::Duration;

use super::{Cost, Setup, setup::Collector};
use crate::{
    audit::audit,
    cpu::Watched,
    lab::{Lab, LabOptions},
    latency::{Key, Latencies, Measure},
    plan::{Layout, Plan, Workload},
    progress::Progress,
    run::{self, Target, Telemetry},
    spans::{Outbox, Sampling},
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
        // Messages that bring no context are the server's to sample.
        server_env: vec![
            ("OTEL_TRACES_SAMPLER".into(), "parentbased_traceidratio".into()),
            ("OTEL_TRACES_SAMPLER_ARG".into(), setup.sampled_share().to_string()),
        ],
        ..effort.lab.clone()
    })
    .await?;
    let target = Target { servers: lab.addrs(), watched: Watched::on(&lab) };
    let telemetry = telemetry(setup, &collector)?;
    // Whoever holds the store holds up the receiver's thread, as a frozen collector's would be.
    let frozen = match &collector {
        Collector::Working(receiver) if setup == Setup::Frozen => Some(receiver.store()),
        _ => None,
    };
    let outcome = run::run(&effort.workload, &target, telemetry, progress).await?;
    drop(frozen);
    let latencies = Latencies::of(&outcome);
    let audit = audit(&outcome.evidence);
    let planned = u64::from(Plan::new(&effort.workload).messages());
    let mut invalid = validity::reasons(Some(planned), &audit, &latencies, &outcome.flaws);
    let total = Key { measure: Measure::Hop(hopline::hop::Hop::Total), origin: None, recipient: None };
    let total = latencies.get(total).map(crate::latency::Series::summary);
    let messages = effort.workload.rate_per_s * effort.workload.duration.as_secs_f64();
    let servers_s = outcome.cpu.servers_s.unwrap_or_default();
    let saturating = Layout { channels: 1, publishers: 48, subscribers: 3, ..Layout::default() };
    let saturated =
        run::hammer(&saturating, OUTSTANDING, effort.saturated, &target, progress, |_| {}).await?;
    let acknowledged =
        saturated.evidence.records.iter().filter(|(_, record)| record.is_acknowledged()).count();
    if total.is_none() || acknowledged == 0 {
        invalid.push("nothing was exercised".into());
    }
    Ok(Cost {
        servers_us_per_message: servers_s * 1e6 / messages,
        saturated_per_s: acknowledged as f64 / effort.saturated.as_secs_f64(),
        total: total.unwrap_or_default(),
        invalid,
    })
}

/// The generator makes spans of its own only for a collector that works: what is measured are the servers.
fn telemetry(setup: Setup, collector: &Collector) -> anyhow::Result<Telemetry> {
    let endpoint = match (collector, collector.endpoint()) {
        (Collector::Working(_), Some(endpoint)) if setup != Setup::Frozen => endpoint,
        _ => return Ok(Telemetry::default()),
    };
    let traces = (Sampling::new(setup.sampled_share()), Outbox::start(Some(&endpoint))?);
    Ok(Telemetry { traces: Some(traces), metrics: None })
}
