//! `sweep`: how does cost grow?

use std::net::SocketAddr;

use hopline::hop::{Hop, Origin};

use super::{Ground, run::measure, telemetry::Telling};
use crate::{
    cli::LabArgs,
    exit::Exit,
    http,
    latency::{Key, Measure, Series},
    machine::Machine,
    progress::Progress,
    report::{Conclusion, SweepReport, publish},
    scrape,
    sweep::{Cost, Step, SweepArgs, steps},
};

const BROKER_BYTES: &str = "hopline_broker_bytes_total";

pub(super) async fn execute(args: &SweepArgs) -> anyhow::Result<Exit> {
    let steps = steps(args)?;
    let mut progress = Progress::new();
    let (mut ground, mut costs) = (None, Vec::new());
    for step in &steps {
        progress.say(&format!("{}: {}", args.parameter.as_str(), step.value));
        // As long as the servers stay the same, so does the lab.
        let servers = |ground: &Ground| ground.target.servers.len();
        let fits = ground.as_ref().is_some_and(|ground| servers(ground) == usize::from(step.servers));
        if !fits {
            drop(ground.take());
            let lab = LabArgs { servers: step.servers, ..args.lab.clone() };
            ground = Some(Ground::on_lab(&lab, None, &mut progress).await?);
        }
        if let Some(ground) = &ground {
            costs.push(cost(step, ground, &mut progress).await?);
        }
    }
    drop(progress);
    let is_valid = costs.iter().all(|cost| cost.invalid.is_empty());
    let report = SweepReport {
        result: if is_valid { Conclusion::Pass } else { Conclusion::Invalid },
        parameter: args.parameter,
        workload: steps[0].workload.clone(),
        servers: args.lab.servers,
        machine: Machine::describe(ground.as_ref().and_then(|ground| ground.lab.as_deref())),
        costs,
    };
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

async fn cost(step: &Step, ground: &Ground, progress: &mut Progress) -> anyhow::Result<Cost> {
    let lab = ground.lab.iter();
    let admin: Vec<SocketAddr> =
        lab.flat_map(|lab| lab.servers()).map(|server| server.admin_addr()).collect();
    let http = http::client(http::ANSWER_LIMIT);
    let bytes = async |direction: &str| scrape::sum(&http, &admin, BROKER_BYTES, direction).await;
    let (out, into) = (bytes("\"out\"").await?, bytes("\"in\"").await?);
    let loaded = measure(&step.workload, ground, &Telling::nothing(), progress).await?;
    let (measured, latencies) = (loaded.measured, loaded.latencies);
    let messages = measured.audit.acknowledged.max(1) as f64;
    let of_hop = |hop, origin| {
        let key = Key { measure: Measure::Hop(hop), origin, recipient: None };
        latencies.get(key).map(Series::summary).unwrap_or_default()
    };
    let mut invalid = measured.invalid.clone();
    if !measured.audit.is_clean() {
        invalid.push("the audit found something; `run` shows what".to_owned());
    }
    let cpu = &measured.cpu;
    let in_window = measured.throughput.acknowledged_per_s * cpu.window_s;
    Ok(Cost {
        value: step.value,
        total: of_hop(Hop::Total, None),
        broadcast: of_hop(Hop::Broadcast, Some(Origin::Own)),
        acknowledged_per_s: measured.throughput.acknowledged_per_s,
        delivered_per_s: measured.throughput.delivered_per_s,
        servers_us_per_delivery: cpu.servers_us_per_delivery,
        servers_us_per_message: cpu.servers_s.map(|seconds| seconds * 1e6 / in_window.max(1.0)),
        broker_out_bytes_per_message: (bytes("\"out\"").await? - out) / messages,
        broker_in_bytes_per_message: (bytes("\"in\"").await? - into) / messages,
        invalid,
    })
}
