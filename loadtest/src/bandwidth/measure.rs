//! What Redis says that it has sent.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;

use crate::{
    audit::audit,
    lab::{Broker, Lab, LabOptions},
    latency::Latencies,
    plan::{Bodies, Layout, Plan, Workload},
    progress::Progress,
    run::{self, Target, Telemetry},
    validity,
};

const WARM_UP: Duration = Duration::from_secs(1);

/// What all points have in common.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    pub(crate) rate_per_s: f64,
    pub(crate) duration: Duration,
    pub(crate) channels: usize,
    pub(crate) body_bytes: usize,
    pub(crate) server_binary: Option<PathBuf>,
}

impl Effort {
    /// For so many subscribers of each channel. A publisher of each server, so that all publish.
    pub(crate) fn workload(&self, servers: usize, subscribers: usize) -> Workload {
        let layout = Layout {
            channels: self.channels,
            publishers: servers,
            subscribers: subscribers * self.channels,
            body_bytes: Bodies::Fixed(self.body_bytes),
            ..Layout::default()
        };
        Workload {
            layout,
            rate_per_s: self.rate_per_s,
            warm_up: WARM_UP,
            duration: self.duration,
            ..Workload::default()
        }
    }
}

/// The bytes that Redis sends for each message, for each number of subscribers; and why they prove nothing, if so.
pub(crate) async fn measure(
    broker: Broker,
    servers: usize,
    subscribers: &[usize],
    effort: &Effort,
    progress: &mut Progress,
) -> anyhow::Result<(Vec<f64>, Vec<String>)> {
    let options =
        LabOptions { servers, server_binary: effort.server_binary.clone(), broker, ..LabOptions::default() };
    let lab = Lab::start(options).await?;
    let target = Target::on(&lab);
    let (mut bytes, mut invalid) = (Vec::new(), Vec::new());
    for &subscribers in subscribers {
        let name = broker.name();
        progress.say(&format!("{name}, {servers} servers, {subscribers} subscribers a channel"));
        let workload = effort.workload(servers, subscribers);
        let before = sent_bytes(lab.redis_url()).await?;
        let outcome = run::run(&workload, &target, Telemetry::default(), progress).await?;
        let sent = sent_bytes(lab.redis_url()).await? - before;
        let audit = audit(&outcome.evidence);
        let planned = u64::from(Plan::new(&workload).messages());
        let reasons = validity::reasons(Some(planned), &audit, &Latencies::of(&outcome), &outcome.flaws);
        let reasons =
            reasons.into_iter().chain((!audit.is_clean()).then(|| "the audit found something".to_owned()));
        invalid.extend(
            reasons.map(|why| format!("{name}, {servers} servers, {subscribers} subscribers: {why}")),
        );
        bytes.push(sent as f64 / audit.acknowledged.max(1) as f64);
    }
    Ok((bytes, invalid))
}

async fn sent_bytes(url: &str) -> anyhow::Result<u64> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut connection).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    Ok(line.context("Redis doesn't say how much it has sent")?.trim().parse()?)
}
