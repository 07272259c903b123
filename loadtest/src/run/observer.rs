//! Who is told of a run while it goes on: whoever looks at the terminal; spans of the sampled messages, and metrics, of
//! which either may be off.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hopline::{
    hop::{Hop, Origin},
    protocol::Timing,
};
use opentelemetry::trace::TraceId;

use super::live::Live;
use crate::{
    audit::Evidence,
    clock::Clock,
    identity::Identity,
    latency::Measure,
    metrics::Metrics,
    plan::{Habit, Layout, Plan},
    spans::{MessageSpans, Outbox, Sampling, Slow, SpanCounts},
};

/// Traces that a report names.
const SLOWEST_MAX: usize = 5;

/// What is wanted to be shown.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    /// Which messages are traced: then every frame carries a context. Without it servers decide.
    pub(crate) sampling: Option<Sampling>,
    /// Where the generator's own spans of them go; without it, it makes none.
    pub(crate) outbox: Option<Outbox>,
    /// Where metrics are kept.
    pub(crate) metrics: Option<Arc<Metrics>>,
}

/// What the generator knows of a run's traces.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub(crate) sampling: Sampling,
    /// What became of the generator's own spans.
    pub(crate) spans: SpanCounts,
    /// Those of the measured window that took longest, the slowest first.
    pub(crate) slowest: Vec<Slow>,
}

/// Told by a run's tasks what happens, at the moment at which it does.
#[derive(Debug)]
pub(crate) struct Observer {
    plan: Arc<Plan>,
    spans: Option<MessageSpans>,
    pub(super) metrics: Option<Arc<Metrics>>,
    pub(super) live: Live,
    /// A bit for each message: every server tells of accept and persist, which happened once.
    told: Vec<AtomicU64>,
}

impl Observer {
    pub(super) fn new(
        plan: Arc<Plan>,
        layout: &Layout,
        identity: &Identity,
        channels: &[String],
        telemetry: Telemetry,
    ) -> Self {
        let Telemetry { sampling, outbox, metrics } = telemetry;
        let traces = sampling.zip(outbox);
        let mut recipients = vec![0; channels.len()];
        let habits = layout.habits();
        (0..layout.subscribers)
            .filter(|&subscriber| is_counted(habits[subscriber].as_ref()))
            .for_each(|subscriber| recipients[layout.subscribers_channel(subscriber)] += 1);
        let spans = traces.map(|(sampling, outbox)| {
            let (plan, identity) = (Arc::clone(&plan), identity.clone());
            MessageSpans::new(sampling, outbox, plan, identity, channels.to_vec(), recipients)
        });
        let words = plan.messages().div_ceil(u64::BITS);
        let told = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { plan, spans, metrics, live: Live::new(), told }
    }

    /// The clients are connected, and the run's clock is set.
    pub(super) fn begin(&self, clock: Clock, publishers: usize, subscribers: usize) {
        if let Some(metrics) = &self.metrics {
            let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            metrics.publishers.set(gauge(publishers));
            metrics.subscribers.set(gauge(subscribers));
            let counters = self.spans.as_ref().map(|spans| spans.counters().clone());
            metrics.begin(Arc::clone(&self.plan), clock, counters);
        }
    }

    /// The run is over: sends the last spans.
    pub(super) async fn finish(
        &self,
        evidence: &Evidence,
        window_us: &Range<u32>,
        clock: Clock,
    ) -> Option<Traced> {
        let spans = self.spans.as_ref()?;
        spans.finish(evidence, clock).await;
        Some(Traced {
            sampling: *spans.sampling(),
            spans: spans.counters().read(),
            slowest: spans.slowest(SLOWEST_MAX, window_us),
        })
    }

    /// A message is about to be written to the socket.
    pub(super) fn sent(&self, index: u32, sent_us: u32) {
        let late_us = sent_us.saturating_sub(self.plan.intended_us(index));
        self.live.record(Measure::SendLag, late_us);
        if let Some(metrics) = &self.metrics {
            metrics.sent_late(late_us);
        }
    }

    /// A message was acknowledged.
    pub(super) fn acknowledged(&self, index: u32, at_us: u32) {
        let after_us = at_us.saturating_sub(self.plan.intended_us(index));
        self.live.record(Measure::Ack, after_us);
        if let Some(metrics) = &self.metrics {
            metrics.acknowledged_after(after_us);
        }
    }

    /// A message was refused.
    pub(super) fn refused(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.refused.inc();
        }
    }

    /// A recipient has a message.
    pub(super) fn delivered(&self, (index, seq): (u32, u64), at_us: u32, clock: Clock, manner: Manner) {
        self.live.delivered();
        if let Some(spans) = self.spans.as_ref().filter(|_| manner.is_counted) {
            spans.delivered(index, seq, at_us, clock);
        }
        if let Some(metrics) = &self.metrics
            && index < self.plan.messages()
        {
            metrics.delivered.inc();
            let total_us = at_us.saturating_sub(self.plan.intended_us(index));
            if !manner.is_live {
                return;
            }
            metrics.hop(Hop::Total, total_us, self.trace_of(index));
        }
    }

    /// One client of each server and channel says what came with a message.
    pub(super) fn told(&self, told: &Told<'_>, clock: Clock) {
        if let Some(spans) = &self.spans {
            spans.deliver(told.traceparent, told.node, (told.at_us, told.decoded_us), clock);
        }
        if let Some(timing) = told.timing.filter(|_| told.index < self.plan.messages()) {
            let total_us = told.at_us.saturating_sub(self.plan.intended_us(told.index));
            self.live.record(Measure::Hop(Hop::Total), total_us);
            self.hops(told, timing, clock);
        }
    }

    fn hops(&self, told: &Told<'_>, timing: Timing, clock: Clock) {
        let hop = |hop, from_us: u64, to_us: u64| {
            let us = u32::try_from(to_us.saturating_sub(from_us)).unwrap_or(u32::MAX);
            let is_of_one_clock = hop != Hop::Broadcast || timing.origin == Origin::Own;
            if is_of_one_clock {
                // What clients see of `send` ends with them.
                let measure = if hop == Hop::Send { Measure::SendAndDrain } else { Measure::Hop(hop) };
                self.live.record(measure, us);
            }
            if let Some(metrics) = &self.metrics {
                metrics.hop(hop, us, None);
            }
        };
        if let Some(stamps) = timing.stamps {
            if self.is_first(told.index) {
                hop(Hop::Accept, stamps.accepted_us, stamps.queued_us);
                hop(Hop::Persist, stamps.queued_us, stamps.committed_us);
                if let Some(published_us) = stamps.published_us {
                    hop(Hop::Outbox, stamps.committed_us, published_us);
                }
            }
            if timing.origin != Origin::Healed {
                hop(Hop::Broadcast, stamps.publish_us(), timing.received_us);
            }
        }
        hop(Hop::Receive, timing.received_us, timing.handed_us);
        hop(Hop::Send, timing.handed_us, clock.unix_us(told.at_us));
    }

    fn is_first(&self, index: u32) -> bool {
        let bit = 1 << (index % u64::BITS);
        let word = self.told.get((index / u64::BITS) as usize);
        word.is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    fn trace_of(&self, index: u32) -> Option<TraceId> {
        let sampling = self.spans.as_ref()?.sampling();
        sampling.is_sampled(index).then(|| sampling.trace_id(index))
    }
}

/// How a recipient has a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// It is one of those that the message's trace waits for.
    pub(super) is_counted: bool,
    /// It was there when the message came, rather than recovering it.
    pub(super) is_live: bool,
}

/// Whether a subscriber gets every message, so that a trace may wait for it.
pub(crate) fn is_counted(habit: Option<&Habit>) -> bool {
    habit.is_none_or(|habit| habit.recovers)
}

/// What came with a message.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) index: u32,
    /// The context of the server's `send`; empty if the message isn't traced.
    pub(super) traceparent: &'a str,
    pub(super) timing: Option<Timing>,
    /// The server's name.
    pub(super) node: &'a str,
    /// When it was read off the socket.
    pub(super) at_us: u32,
    /// When it was decoded.
    pub(super) decoded_us: u32,
}
