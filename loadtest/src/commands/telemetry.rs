//! A run's traces and metrics: where they go, and what the report says of them.

use std::{env, path::PathBuf, sync::Arc, time::Duration};

use anyhow::ensure;
use opentelemetry::trace::TraceId;
use tokio::time::{Instant, sleep};

use super::{SAVED_TRACES_MAX, shortcomings::shortcomings};
use crate::{
    cli::TelemetryArgs,
    http,
    lab::Lab,
    latency::{Latencies, Series, traced},
    metrics::{self, Metrics, Serving},
    plan::Layout,
    progress::Progress,
    report::{Pictures, SavedTraces, SlowTrace, TraceReport},
    run::{Outcome, Telemetry, Traced, is_counted},
    spans::{Outbox, Sampling, SpanCounts},
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
        ensure!(
            args.complete_at_least.is_none() || args.trace_sample > 0.0,
            "--complete-at-least needs traces: raise --trace-sample above 0"
        );
        let receiver = if on_lab && args.trace_sample > 0.0 { Some(Receiver::start()?) } else { None };
        let (mut metrics, mut serving) = (None, None);
        if let Some(addr) = args.metrics_listen {
            let shown = metrics.insert(Arc::new(Metrics::new()));
            let serving = serving.insert(metrics::serve(Arc::clone(shown), addr).await?);
            progress.say(&format!("metrics: http://{}/metrics", serving.addr()));
        }
        Ok(Self { args: args.clone(), receiver, metrics, _serving: serving })
    }

    /// Nothing is told but the report.
    pub(super) fn nothing() -> Self {
        let args = TelemetryArgs {
            trace_sample: 0.0,
            traces: PathBuf::new(),
            otlp_endpoint: None,
            metrics_listen: None,
            complete_at_least: None,
        };
        Self { args, receiver: None, metrics: None, _serving: None }
    }

    /// Where a lab's servers send their spans.
    pub(super) fn otlp_endpoint(&self) -> Option<String> {
        self.receiver.as_ref().map(Receiver::endpoint).or_else(|| self.args.otlp_endpoint.clone())
    }

    /// What the clients of a run are to tell. Without a share every frame says so, since a server would decide for
    /// itself otherwise.
    pub(super) fn telemetry(&self) -> anyhow::Result<Telemetry> {
        let (endpoint, share) = (self.otlp_endpoint(), self.args.trace_sample);
        let is_traced = share > 0.0 && (endpoint.is_some() || environment_wants_traces());
        let outbox = is_traced.then(|| Outbox::start(endpoint.as_deref())).transpose()?;
        let sampling = (is_traced || share <= 0.0).then(|| Sampling::new(share));
        Ok(Telemetry { sampling, outbox, metrics: self.metrics.clone() })
    }

    /// What only traces tell; once [`Self::report`] has waited for them.
    pub(super) fn latencies(&self, outcome: &Outcome) -> Vec<Series> {
        self.receiver.as_ref().map_or_else(Vec::new, |receiver| traced(&receiver.store(), outcome))
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
            server_spans: None,
            shortcomings: Vec::new(),
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
        if let Some(share) = self.args.complete_at_least {
            report.shortcomings = shortcomings(&report, share);
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
        Completeness::of(store, &nodes, lab.broker().reaches_all(), expected)
    };
    loop {
        let count = receiver.store().spans().len();
        let completeness = look(&receiver.store());
        if completeness.is_whole() {
            return completeness;
        }
        let more = |store: &Store| (store.spans().len() > count).then_some(());
        if receiver.wait_until(QUIET, more).await.is_none() {
            return completeness;
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// By channel and server, whether there are subscribers that get every message.
fn has_recipients(layout: &Layout, servers: usize) -> Vec<Vec<bool>> {
    let mut has = vec![vec![false; servers]; layout.channels];
    let habits = layout.habits();
    for subscriber in (0..layout.subscribers).filter(|&number| is_counted(habits[number].as_ref())) {
        let server = layout.subscribers_server(subscriber, servers);
        has[layout.subscribers_channel(subscriber)][server] = true;
    }
    has
}

/// What became of the servers' spans, as they count them themselves; none unless all tell. A span that the receiver has
/// is counted as exported a moment later: if they don't add up yet, it looks again.
async fn span_counts(lab: &Lab) -> Option<SpanCounts> {
    let deadline = Instant::now() + QUIET;
    loop {
        let counts = told(lab).await;
        if counts.is_none_or(SpanCounts::add_up) || Instant::now() > deadline {
            return counts;
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

async fn told(lab: &Lab) -> Option<SpanCounts> {
    let http = http::client(http::ANSWER_LIMIT);
    let mut counts = SpanCounts::default();
    for server in lab.servers() {
        let answer = http.get(format!("http://{}/metrics", server.admin_addr())).send().await.ok()?;
        counts += SpanCounts::of_metrics(&answer.text().await.ok()?)?;
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Workload;

    #[test]
    fn who_has_recipients_follows_from_the_layout() {
        let layout = Workload::default().layout;
        assert!(has_recipients(&layout, 3).iter().flatten().all(|has| *has));
        let layout = Layout { channels: 3, subscribers: 4, ..layout };
        assert_eq!(has_recipients(&layout, 2), [[true, true], [false, true], [true, false]]);
    }
}
