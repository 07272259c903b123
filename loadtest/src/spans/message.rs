//! What is recorded of sampled messages: `total` and `deliver`.

use std::{
    borrow::Cow,
    cmp::Reverse,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};

use super::{Outbox, Sampling, SpanCounters};
use crate::{audit::Evidence, clock::Clock, identity::Identity, plan::Plan};

/// The spans of a run's messages. An unsampled message costs one comparison; a sampled one two atomic
/// operations at each recipient, and its spans are made where the last one has it.
#[derive(Debug)]
pub(crate) struct MessageSpans {
    sampling: Sampling,
    outbox: Outbox,
    plan: Arc<Plan>,
    identity: Identity,
    channels: Vec<String>,
    /// By channel, how many recipients a message has.
    recipients: Vec<u32>,
    /// By message, how far it has come.
    reached: Vec<Reached>,
    scope: InstrumentationScope,
}

#[derive(Debug, Default)]
struct Reached {
    recipients: AtomicU32,
    /// When the last of them had it, on the run's clock.
    last_us: AtomicU32,
}

/// A traced message and how long it took until its last recipient had it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slow {
    pub(crate) trace_id: TraceId,
    pub(crate) total_us: u32,
}

impl MessageSpans {
    pub(crate) fn new(
        sampling: Sampling,
        outbox: Outbox,
        plan: Arc<Plan>,
        identity: Identity,
        channels: Vec<String>,
        recipients: Vec<u32>,
    ) -> Self {
        let reached = (0..plan.messages()).map(|_| Reached::default()).collect();
        let scope = InstrumentationScope::builder("hopline").build();
        Self { sampling, outbox, plan, identity, channels, recipients, reached, scope }
    }

    /// Which messages are sampled.
    pub(crate) fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// What counts the spans.
    pub(crate) fn counters(&self) -> &SpanCounters {
        self.outbox.counters()
    }

    /// A recipient has a message. If it is the last one, `total` ends.
    pub(crate) fn delivered(&self, index: u32, seq: u64, at_us: u32, clock: Clock) {
        let Some(reached) = self.reached.get(index as usize).filter(|_| self.sampling.is_sampled(index))
        else {
            return;
        };
        reached.last_us.fetch_max(at_us, Ordering::Relaxed);
        let recipients = reached.recipients.fetch_add(1, Ordering::AcqRel) + 1;
        if recipients == self.recipients[usize::from(self.plan.channel(index))] {
            self.total(index, seq, recipients, reached.last_us.load(Ordering::Relaxed), clock, Status::Unset);
        }
    }

    /// A client of this server has read a message off its socket, and decoded it. `traceparent` is what came
    /// with it: the server's `send`.
    pub(crate) fn deliver(
        &self,
        traceparent: &str,
        node: &str,
        (at_us, decoded_us): (u32, u32),
        clock: Clock,
    ) {
        let Some((trace_id, send_id)) = sampled(traceparent) else {
            return;
        };
        let span_id = RandomIdGenerator::default().new_span_id();
        let attributes = vec![KeyValue::new("hopline.node", node.to_owned())];
        self.outbox.put(SpanData {
            parent_span_id: send_id,
            parent_span_is_remote: true,
            ..self.span(
                "deliver",
                SpanKind::Consumer,
                (trace_id, span_id),
                (at_us, decoded_us),
                clock,
                attributes,
            )
        });
    }

    /// Ends `total` of the messages that not all recipients got, and sends what is waiting.
    pub(crate) async fn finish(&self, evidence: &Evidence, clock: Clock) {
        for (index, record) in evidence.records.iter() {
            let Some(reached) = self.reached.get(index as usize) else {
                continue;
            };
            let recipients = reached.recipients.load(Ordering::Relaxed);
            let wanted = self.recipients[usize::from(self.plan.channel(index))];
            let is_ended = wanted > 0 && recipients >= wanted;
            if is_ended || !record.is_acknowledged() || !self.sampling.is_sampled(index) {
                continue;
            }
            let end_us = reached.last_us.load(Ordering::Relaxed).max(record.answered_us);
            let status = match wanted {
                0 => Status::Unset,
                _ => Status::error(format!("{recipients} of {wanted} recipients have got it")),
            };
            self.total(index, record.seq().unwrap_or_default(), recipients, end_us, clock, status);
        }
        self.outbox.finish().await;
    }

    /// The messages that took longest, of those that were due within this time and reached anyone.
    pub(crate) fn slowest(&self, count: usize, window_us: &std::ops::Range<u32>) -> Vec<Slow> {
        let mut all: Vec<Slow> = (0..self.plan.messages())
            .filter(|&index| {
                self.sampling.is_sampled(index) && window_us.contains(&self.plan.intended_us(index))
            })
            .map(|index| {
                let last_us = self.reached[index as usize].last_us.load(Ordering::Relaxed);
                let total_us = last_us.saturating_sub(self.plan.intended_us(index));
                Slow { trace_id: self.sampling.trace_id(index), total_us }
            })
            .filter(|slow| slow.total_us > 0)
            .collect();
        all.sort_by_key(|slow| Reverse(slow.total_us));
        all.truncate(count);
        all
    }

    fn total(&self, index: u32, seq: u64, recipients: u32, end_us: u32, clock: Clock, status: Status) {
        let channel = &self.channels[usize::from(self.plan.channel(index))];
        let attributes = vec![
            KeyValue::new("messaging.destination.name", channel.clone()),
            KeyValue::new("hopline.seq", i64::try_from(seq).unwrap_or(i64::MAX)),
            KeyValue::new("hopline.client_message_id", self.identity.client_message_id(index).to_string()),
            KeyValue::new("hopline.recipients", i64::from(recipients)),
        ];
        let ids = (self.sampling.trace_id(index), self.sampling.total_id(index));
        let times = (self.plan.intended_us(index), end_us);
        self.outbox
            .put(SpanData { status, ..self.span("total", SpanKind::Client, ids, times, clock, attributes) });
    }

    /// A root.
    fn span(
        &self,
        name: &'static str,
        span_kind: SpanKind,
        (trace_id, span_id): (TraceId, SpanId),
        (start_us, end_us): (u32, u32),
        clock: Clock,
        attributes: Vec<KeyValue>,
    ) -> SpanData {
        let at = |us: u32| -> SystemTime { UNIX_EPOCH + Duration::from_micros(clock.unix_us(us)) };
        SpanData {
            span_context: SpanContext::new(
                trace_id,
                span_id,
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind,
            name: Cow::Borrowed(name),
            start_time: at(start_us),
            end_time: at(end_us),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The identities in a `traceparent`, if it is one and its trace is sampled.
fn sampled(traceparent: &str) -> Option<(TraceId, SpanId)> {
    let mut parts = traceparent.split('-').skip(1);
    let trace_id = TraceId::from_hex(parts.next()?).ok().filter(|id| *id != TraceId::INVALID)?;
    let span_id = SpanId::from_hex(parts.next()?).ok().filter(|id| *id != SpanId::INVALID)?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    (flags & 1 == 1).then_some((trace_id, span_id))
}
