//! The spans of a message, one function each, in the order of its path. A function that is given no sampled
//! parent is not called: whoever has a context has a sampled one.

use std::{
    borrow::Cow,
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Link, Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer},
};
use uuid::Uuid;

use super::{Incoming, tracer};
use crate::hop::{Hop, Origin};

/// What carries messages between servers: `messaging.system`.
static CARRIER: OnceLock<&str> = OnceLock::new();

/// Says once what carries messages between servers.
pub fn carried_by(system: &'static str) {
    let _ = CARRIER.set(system);
}

fn messaging_system() -> KeyValue {
    KeyValue::new("messaging.system", CARRIER.get().copied().unwrap_or("_OTHER"))
}

/// A span that has begun and not ended.
#[derive(Debug)]
pub struct Open(opentelemetry_sdk::trace::Span);

impl Open {
    /// What the spans after it are children of.
    pub fn context(&self) -> SpanContext {
        self.0.span_context().clone()
    }

    /// Adds what became known only now.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(key, value));
    }

    /// Ends it as failed, at `end_us`. `error` is one of few: `error.type`.
    pub fn fail(mut self, error: &'static str, end_us: u64) {
        self.set("error.type", error);
        self.0.set_status(Status::error(error));
        self.end(end_us);
    }

    /// Ends `persist`: the message has its number. What `publish` is a child of.
    pub fn placed(mut self, seq: u64, repeated: bool, committed_us: u64) -> SpanContext {
        self.set("hopline.seq", int(seq));
        self.set("hopline.repeated", repeated);
        let context = self.context();
        self.end(committed_us);
        context
    }

    /// Ends it at `end_us`.
    pub fn end(mut self, end_us: u64) {
        self.0.end_with_timestamp(at(end_us));
    }
}

/// What `accept` has accepted.
#[derive(Debug)]
pub struct Accepted<'a> {
    /// What the client says of its own trace.
    pub client: &'a Incoming,
    /// The channel's name, unchecked.
    pub channel: &'a str,
    /// The identity that the message gets.
    pub id: Uuid,
    /// The size of its text.
    pub body_bytes: usize,
    /// When its frame was read.
    pub accepted_us: u64,
}

/// Opens `accept`: a child of the client's span, or the root of a new trace if the client has none. Nothing if
/// the trace is not sampled.
pub fn accept(accepted: &Accepted<'_>) -> Option<Open> {
    let client = match accepted.client {
        Incoming::Unsampled => return None,
        Incoming::Sampled(client) => Some(client),
        Incoming::Nothing => None,
    };
    // The attributes come after the sampler's decision: of most messages it is no.
    let mut span = open(Hop::Accept.as_str(), SpanKind::Server, client, accepted.accepted_us, Vec::new())?;
    span.set("messaging.destination.name", accepted.channel.to_owned());
    span.set("messaging.message.id", accepted.id.to_string());
    span.set("messaging.message.body.size", int(accepted.body_bytes as u64));
    Some(span)
}

/// Opens `persist`, at the queue.
pub fn persist(accept: &SpanContext, queued_us: u64) -> Option<Open> {
    open(Hop::Persist.as_str(), SpanKind::Internal, Some(accept), queued_us, Vec::new())
}

/// Records the round trip that committed a batch: a child of the first sampled message's `persist`, linked with
/// those of the others. A batch without any has none.
pub fn commit(
    persists: &[SpanContext],
    procedure: &'static str,
    (started_us, committed_us): (u64, u64),
    batch_messages: usize,
) {
    let Some((first, others)) = persists.split_first() else {
        return;
    };
    let attributes = vec![
        KeyValue::new("db.system.name", "postgresql"),
        KeyValue::new("db.stored_procedure.name", procedure),
        KeyValue::new("db.operation.batch.size", int(batch_messages as u64)),
    ];
    let builder = builder("commit", SpanKind::Client, started_us, attributes)
        .with_links(others.iter().cloned().map(Link::with_context).collect());
    if let Some(span) = build(builder, Some(first)) {
        span.end(committed_us);
    }
}

/// Records `outbox`, from the commit until the relay took the message: a child of the span that is stored with it.
pub fn outbox(accept: &SpanContext, (committed_us, published_us): (u64, u64)) -> Option<SpanContext> {
    let span = open(Hop::Outbox.as_str(), SpanKind::Internal, Some(accept), committed_us, Vec::new())?;
    let context = span.context();
    span.end(published_us);
    Some(context)
}

/// Opens `publish`, at the commit or where the outbox ends.
pub fn publish(parent: &SpanContext, channel: &str, publish_us: u64) -> Option<Open> {
    let attributes = vec![
        messaging_system(),
        KeyValue::new("messaging.operation.type", "send"),
        KeyValue::new("messaging.destination.name", channel.to_owned()),
    ];
    open(Hop::Publish.as_str(), SpanKind::Producer, Some(parent), publish_us, attributes)
}

/// What `receive` has placed in its channel.
#[derive(Debug)]
pub struct Received<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// The message's number in it.
    pub seq: u64,
    /// Where it came from.
    pub origin: Origin,
    /// Why it ends here, if it is not delivered: as metrics have it.
    pub ended: Option<&'static str>,
    /// When the subscriber had it.
    pub received_us: u64,
    /// When it was handed to the recipients, or left.
    pub done_us: u64,
}

/// Records `receive`: a child of the span that the message came from, and linked with it if a broker was between.
pub fn receive(parent: &SpanContext, received: &Received<'_>) -> Option<SpanContext> {
    let mut attributes = vec![
        KeyValue::new("messaging.operation.type", "receive"),
        KeyValue::new("messaging.destination.name", received.channel.to_owned()),
        KeyValue::new("hopline.seq", int(received.seq)),
        KeyValue::new("hopline.origin", received.origin.as_str()),
    ];
    attributes.extend(received.ended.map(|why| KeyValue::new("hopline.arrival", why)));
    let mut links = Vec::new();
    if received.origin != Origin::Healed {
        attributes.push(messaging_system());
        links.push(Link::with_context(parent.clone()));
    }
    let builder = builder(Hop::Receive.as_str(), SpanKind::Consumer, received.received_us, attributes)
        .with_links(links);
    let span = build(builder, Some(parent))?;
    let context = span.context();
    span.end(received.done_us);
    Some(context)
}

/// Opens `send`, at the hand-over to so many recipients.
pub fn send(receive: &SpanContext, handed_us: u64, recipients: usize) -> Option<Open> {
    let attributes = vec![KeyValue::new("hopline.recipients", int(recipients as u64))];
    open(Hop::Send.as_str(), SpanKind::Producer, Some(receive), handed_us, attributes)
}

fn open(
    name: &'static str,
    kind: SpanKind,
    parent: Option<&SpanContext>,
    start_us: u64,
    attributes: Vec<KeyValue>,
) -> Option<Open> {
    build(builder(name, kind, start_us, attributes), parent)
}

fn builder(name: &'static str, kind: SpanKind, start_us: u64, attributes: Vec<KeyValue>) -> SpanBuilder {
    let mut builder =
        SpanBuilder::from_name(Cow::Borrowed(name)).with_kind(kind).with_start_time(at(start_us));
    builder.attributes = Some(attributes);
    builder
}

/// Nothing if tracing is off, or if the sampler does not want it.
fn build(builder: SpanBuilder, parent: Option<&SpanContext>) -> Option<Open> {
    let name = builder.name.clone();
    let mut context = Context::new();
    if let Some(parent) = parent {
        context = context.with_remote_span_context(parent.clone());
    }
    let span = tracer()?.build_with_context(builder, &context);
    let context = span.span_context();
    if !context.is_sampled() {
        return None;
    }
    tracing::debug!(trace_id = %context.trace_id(), span_id = %context.span_id(), %name, "span");
    Some(Open(span))
}

fn at(unix_us: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(unix_us)
}

/// Numbers of spans are signed; none of ours comes near the limit.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
