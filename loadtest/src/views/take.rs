//! A run of which all three views are taken.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hopline::hop::Hop;
use serde_json::json;

use super::{View, clients, metrics, spans};
use crate::{
    audit::audit,
    lab::{Lab, LabOptions, Prometheus},
    latency::Latencies,
    metrics::{Metrics, serve},
    plan::{Plan, Workload},
    progress::Progress,
    run::{self, Target, Telemetry},
    spans::{Outbox, Sampling},
    traces::{Receiver, Store},
    validity,
};

/// Servers keep spans to themselves for so long.
const SPANS_EVERY_MS: u64 = 500;
const QUIET: Duration = Duration::from_secs(2);

/// What is to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) workload: Workload,
    pub(crate) lab: LabOptions,
    /// A hop in which every message is held, and for how many milliseconds.
    pub(crate) delay: Option<(Hop, u64)>,
}

/// The three views of a run.
#[derive(Clone, Debug)]
pub(crate) struct Views {
    pub(crate) clients: View,
    pub(crate) prometheus: View,
    pub(crate) spans: View,
    /// Why they prove nothing; empty if the run was valid and the audit clean.
    pub(crate) invalid: Vec<String>,
}

/// Starts a lab with Prometheus and a receiver of spans, lets it work with every message sampled, and looks.
pub(crate) async fn take(setting: &Setting, progress: &mut Progress) -> anyhow::Result<Views> {
    progress.step("starting the lab and Prometheus");
    let receiver = Receiver::start()?;
    let shown = Arc::new(Metrics::new());
    let serving = serve(Arc::clone(&shown), SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let lab = Lab::start(LabOptions {
        otlp_endpoint: Some(receiver.endpoint()),
        server_args: vec!["--fault-switches".into()],
        server_env: vec![("OTEL_BSP_SCHEDULE_DELAY".into(), SPANS_EVERY_MS.to_string())],
        ..setting.lab.clone()
    });
    let lab = lab.await?;
    let prometheus = Prometheus::start(&lab, Some(serving.addr())).await?;
    if let Some((hop, delay_ms)) = setting.delay {
        let switches = json!({ "delays": { hop.as_str(): { "delay_ms": delay_ms } } });
        for server in lab.servers() {
            server.switch_faults(&switches).await?;
        }
    }
    let target = Target::on(&lab);
    let outbox = Outbox::start(Some(&receiver.endpoint()))?;
    let telemetry =
        Telemetry { sampling: Some(Sampling::new(1.0)), outbox: Some(outbox), metrics: Some(shown) };
    let outcome = run::run(&setting.workload, &target, telemetry, progress).await?;
    progress.step("waiting for the last spans and figures");
    last_spans(&receiver).await;
    prometheus.scraped().await?;
    let latencies = Latencies::of(&outcome);
    let audit = audit(&outcome.evidence);
    let planned = u64::from(Plan::new(&setting.workload).messages());
    let mut invalid = validity::reasons(Some(planned), &audit, &latencies, &outcome.flaws);
    if !audit.is_clean() {
        invalid.push("the audit found something; `run` shows what".into());
    }
    let spans = spans::view(&receiver.store());
    Ok(Views {
        clients: clients::view(&latencies),
        prometheus: metrics::view(prometheus.api()).await?,
        spans,
        invalid,
    })
}

/// Returns when no more spans come.
async fn last_spans(receiver: &Receiver) {
    loop {
        let count = receiver.store().spans().len();
        let more = |store: &Store| (store.spans().len() > count).then_some(());
        if receiver.wait_until(QUIET, more).await.is_none() {
            return;
        }
    }
}
