//! What Redis says that it has sent.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use futures_util::future::try_join_all;

use crate::{
    audit::audit,
    lab::{Backend, Broker, Lab, LabOptions, Redis},
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

/// What was measured at one point.
pub(crate) struct Measured {
    /// Bytes that all Redis together sent for each message.
    pub(crate) bytes: f64,
    /// The names of the channels.
    pub(crate) channels: Vec<String>,
}

/// For each number of subscribers what was measured; and why that proves nothing, if so.
pub(crate) async fn measure(
    broker: Broker,
    servers: usize,
    subscribers: &[usize],
    effort: &Effort,
    progress: &mut Progress,
) -> anyhow::Result<(Vec<Measured>, Vec<String>)> {
    let options =
        LabOptions { servers, server_binary: effort.server_binary.clone(), broker, ..LabOptions::default() };
    let lab = Lab::start(options).await?;
    let target = Target::on(&lab);
    let (mut measured, mut invalid) = (Vec::new(), Vec::new());
    for &subscribers in subscribers {
        let name = broker.name();
        progress.say(&format!("{name}, {servers} servers, {subscribers} subscribers a channel"));
        let workload = effort.workload(servers, subscribers);
        let before = sent_bytes(&lab).await?;
        let outcome = run::run(&workload, &target, Telemetry::default(), progress).await?;
        let sent = sent_bytes(&lab).await? - before;
        let audit = audit(&outcome.evidence);
        let planned = u64::from(Plan::new(&workload).messages());
        let reasons = validity::reasons(Some(planned), &audit, &Latencies::of(&outcome), &outcome.flaws);
        let reasons =
            reasons.into_iter().chain((!audit.is_clean()).then(|| "the audit found something".to_owned()));
        invalid.extend(
            reasons.map(|why| format!("{name}, {servers} servers, {subscribers} subscribers: {why}")),
        );
        let bytes = sent as f64 / audit.acknowledged.max(1) as f64;
        measured.push(Measured { bytes, channels: outcome.evidence.channels });
    }
    Ok((measured, invalid))
}

/// All that was sent so far: by the one Redis, or by all nodes of the cluster.
async fn sent_bytes(lab: &Lab) -> anyhow::Result<u64> {
    let urls: Vec<&str> = match lab.backend() {
        Backend::Redis(redis) => vec![redis.url()],
        Backend::Cluster(cluster) => cluster.nodes().iter().map(Redis::url).collect(),
        Backend::Kafka(_) => bail!("Kafka isn't asked how much it has sent"),
    };
    Ok(try_join_all(urls.into_iter().map(sent_by)).await?.into_iter().sum())
}

async fn sent_by(url: &str) -> anyhow::Result<u64> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut connection).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    Ok(line.context("Redis doesn't say how much it has sent")?.trim().parse()?)
}
