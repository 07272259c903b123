//! A run's traces and metrics: where they go, and what the report says of them.

use std::{collections::BTreeMap, env, sync::Arc, time::Duration};

use opentelemetry::trace::TraceId;
use tokio::time::sleep;

use super::SAVED_TRACES_MAX;
use crate::{
    cli::TelemetryArgs,
    lab::Lab,
    latency::Latencies,
    metrics::{self, Metrics, Serving},
    plan::Layout,
    progress::Progress,
    report::{Pictures, SavedTraces, SlowTrace, TraceReport},
    run::{Outcome, Telemetry, Traced},
    spans::{Outbox, Sampling},
    traces::{Completeness, Expected, Receiver, Store, save},
};

/// Longer than a server keeps spans to itself.
const QUIET: Duration = Duration::from_secs(3);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What a run tells beside its report.
#[derive(Debug)]
pub(super) struct Telling {
    args: TelemetryArgs,
    /// Takes a lab's spans.
    receiver: Option<Receiver>,
    metrics: Option<Arc<Metrics>>,
    _serving: Option<Serving>,
}

impl Telling {
    /// Must come before the lab, whose servers send spans to it from the start.
    pub(super) async fn start(
        args: &TelemetryArgs,
        on_lab: bool,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let receiver = if on_lab && args.trace_sample > 0.0 { Some(Receiver::start()?) } else { None };
        let (mut metrics, mut serving) = (None, None);
        if let Some(addr) = args.metrics_listen {
            let shown = metrics.insert(Arc::new(Metrics::new()));
            let serving = serving.insert(metrics::serve(Arc::clone(shown), addr).await?);
            progress.say(&format!("metrics: http://{}/metrics", serving.addr()));
        }
        Ok(Self { args: args.clone(), receiver, metrics, _serving: serving })
    }

    /// Where a lab's servers send their spans.
    pub(super) fn otlp_endpoint(&self) -> Option<String> {
        self.receiver.as_ref().map(Receiver::endpoint).or_else(|| self.args.otlp_endpoint.clone())
    }

    /// What the clients of a run are to tell.
    pub(super) fn telemetry(&self) -> anyhow::Result<Telemetry> {
        let endpoint = self.otlp_endpoint();
        let traces = if self.args.trace_sample > 0.0 && (endpoint.is_some() || environment_wants_traces()) {
            Some((Sampling::new(self.args.trace_sample), Outbox::start(endpoint.as_deref())?))
        } else {
            None
        };
        Ok(Telemetry { traces, metrics: self.metrics.clone() })
    }

    /// Waits for the last spans, saves the traces, and says what became of them.
    pub(super) async fn report(
        &self,
        outcome: &Outcome,
        layout: &Layout,
        lab: Option<&Lab>,
        progress: &mut Progress,
    ) -> anyhow::Result<Option<TraceReport>> {
        let Some(traced) = &outcome.traced else {
            return Ok(None);
        };
        let sampled = |(index, _): &(u32, _)| traced.sampling.is_sampled(*index);
        let mut report = TraceReport {
            sample_share: self.args.trace_sample,
            messages: outcome.evidence.records.iter().filter(sampled).count() as u64,
            completeness: None,
            spans_received: None,
            spans_refused: None,
            generator_spans: traced.spans,
            server_spans: BTreeMap::new(),
            slowest: traced.slowest.iter().map(SlowTrace::from).collect(),
            saved: None,
        };
        if let (Some(lab), Some(receiver)) = (lab, &self.receiver) {
            progress.step("waiting for the last spans");
            report.completeness = Some(settle(receiver, outcome, traced, layout, lab).await);
            report.server_spans = span_counts(lab).await;
            let store = receiver.store();
            report.spans_received = Some(store.spans().len() as u64);
            report.spans_refused = Some(store.refused());
            let count = save(&store, SAVED_TRACES_MAX, &self.args.traces)?;
            report.saved = Some(SavedTraces { file: self.args.traces.clone(), traces: count });
        }
        Ok(Some(report))
    }

    /// What the report's page draws.
    pub(super) fn pictures(&self, outcome: &Outcome, latencies: &Latencies) -> Pictures {
        let store = self.receiver.as_ref().map(Receiver::store);
        Pictures::of(outcome, latencies, store.as_deref())
    }
}

/// As the specification has it.
fn environment_wants_traces() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let disabled = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    !disabled && (set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
}

/// Waits until every trace is whole, or no more spans come.
async fn settle(
    receiver: &Receiver,
    outcome: &Outcome,
    traced: &Traced,
    layout: &Layout,
    lab: &Lab,
) -> Completeness {
    let nodes: Vec<String> = lab.servers().iter().map(|server| server.node().to_owned()).collect();
    let has_recipients = has_recipients(layout, nodes.len());
    let messages: Vec<(TraceId, &[bool])> = outcome
        .evidence
        .records
        .iter()
        .filter(|(index, record)| record.is_acknowledged() && traced.sampling.is_sampled(*index))
        .map(|(index, record)| {
            (traced.sampling.trace_id(index), &*has_recipients[usize::from(record.channel)])
        })
        .collect();
    let look = |store: &Store| {
        let expected =
            messages.iter().map(|&(trace_id, has_recipients)| Expected { trace_id, has_recipients });
        Completeness::of(store, &nodes, expected)
    };
    loop {
        let count = receiver.store().spans().len();
        let completeness = look(&receiver.store());
        if completeness.complete == completeness.messages {
            return completeness;
        }
        let more = |store: &Store| (store.spans().len() > count).then_some(());
        if receiver.wait_until(QUIET, more).await.is_none() {
            return completeness;
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// By channel and server, whether there are subscribers.
fn has_recipients(layout: &Layout, servers: usize) -> Vec<Vec<bool>> {
    let mut has = vec![vec![false; servers]; layout.channels];
    for subscriber in 0..layout.subscribers {
        let server = layout.subscribers_server(subscriber, servers);
        has[layout.subscribers_channel(subscriber)][server] = true;
    }
    has
}

/// What became of the servers' spans, as they count them themselves, by outcome. Empty if none tells.
async fn span_counts(lab: &Lab) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for server in lab.servers() {
        let url = format!("http://{}/metrics", server.admin_addr());
        let Ok(answer) = reqwest::get(url).await else {
            continue;
        };
        for (outcome, count) in answer.text().await.unwrap_or_default().lines().filter_map(span_count) {
            *counts.entry(outcome).or_default() += count;
        }
    }
    counts
}

/// Reads a line like `hopline_spans_total{outcome="dropped"} 0`.
fn span_count(line: &str) -> Option<(String, u64)> {
    let rest = line.strip_prefix("hopline_spans_total{outcome=\"")?;
    let (outcome, count) = rest.split_once("\"} ")?;
    Some((outcome.to_owned(), count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Workload;

    #[test]
    fn a_servers_counts_are_read() {
        assert_eq!(span_count("hopline_spans_total{outcome=\"dropped\"} 7"), Some(("dropped".to_owned(), 7)));
        assert_eq!(span_count("# TYPE hopline_spans_total counter"), None);
        assert_eq!(span_count("hopline_spans_total_x{outcome=\"dropped\"} 7"), None);
    }

    #[test]
    fn who_has_recipients_follows_from_the_layout() {
        let layout = Workload::default().layout;
        assert!(has_recipients(&layout, 3).iter().flatten().all(|has| *has));
        let layout = Layout { channels: 3, subscribers: 4, ..layout };
        assert_eq!(has_recipients(&layout, 2), [[true, true], [false, true], [true, false]]);
    }
}
