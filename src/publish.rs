//! `publish`: hands committed messages to the broker, in the order of commits.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    broker::{Broker, Envelope},
    clock,
    fault::{self, Queue},
    hop::Hop,
    persist::Committed,
    protocol::SenderName,
    telemetry::{
        labels::{DropReason, Label},
        metrics::metrics,
        trace,
    },
};

/// Batches that may wait. Beyond that they are dropped: commits must not wait for the broker, and every
/// server finds what it did not get by comparing positions.
const QUEUE_MAX: usize = 1024;

/// Messages in all those batches, and in those under way.
const MESSAGES_MAX: usize = 16_384;

/// Publishes under way at once. The connection sends them in order, so none has to wait for the
/// acknowledgement of the one before.
const IN_FLIGHT_MAX: usize = 64;

/// The way to the publisher. When the last clone is dropped it finishes what waits, then stops.
#[derive(Clone)]
pub struct Publish {
    queue: mpsc::Sender<Vec<Committed>>,
    /// Messages that the broker has not acknowledged.
    messages: Arc<AtomicUsize>,
}

impl Publish {
    /// A publisher for `node`, and the task that it needs.
    pub fn new(node: SenderName, broker: Arc<dyn Broker>) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, batches) = mpsc::channel(QUEUE_MAX);
        let committed_us = |batch: &Vec<Committed>| batch.first().map_or(0, |each| each.stamps.committed_us);
        let messages = Arc::new(AtomicUsize::new(0));
        let publisher = Publisher { node, broker, messages: messages.clone() };
        (Self { queue, messages }, publisher.run(Queue::new(Hop::Publish, batches, committed_us)))
    }

    /// Queues a committed batch.
    pub fn hand_over(&self, batch: Vec<Committed>) {
        let messages = batch.len();
        let waiting = self.messages.fetch_add(messages, Ordering::Relaxed) + messages;
        let queued = if waiting > MESSAGES_MAX {
            Err(batch)
        } else {
            self.queue.try_send(batch).map_err(TrySendError::into_inner)
        };
        let Err(batch) = queued else {
            return metrics().publish_queue.increment(messages as f64);
        };
        self.messages.fetch_sub(messages, Ordering::Relaxed);
        metrics().dropped.of(DropReason::PublishQueueFull).increment(messages as u64);
        for span in batch.iter().filter_map(open_span) {
            span.fail(DropReason::PublishQueueFull.label(), clock::now_us());
        }
    }
}

/// The task of [`Publish`].
struct Publisher {
    node: SenderName,
    broker: Arc<dyn Broker>,
    messages: Arc<AtomicUsize>,
}

impl Publisher {
    async fn run(self, mut batches: Queue<Vec<Committed>>) {
        let mut in_flight = FuturesUnordered::new();
        loop {
            tokio::select! {
                // First, so that a publish is sent before the next one is taken.
                biased;
                Some(()) = in_flight.next() => {}
                batch = batches.recv(), if in_flight.len() < IN_FLIGHT_MAX => match batch {
                    Some(batch) => in_flight.push(self.publish(batch)),
                    None => break,
                },
            }
        }
        while in_flight.next().await.is_some() {}
    }

    async fn publish(&self, batch: Vec<Committed>) {
        let mut spans = Vec::new();
        let envelopes: Vec<_> =
            batch.into_iter().map(|each| in_envelope(&self.node, each, &mut spans)).collect();
        let published = self.broker.publish(&envelopes).await;
        let acknowledged_us = clock::now_us();
        metrics().publish_queue.decrement(envelopes.len() as f64);
        self.messages.fetch_sub(envelopes.len(), Ordering::Relaxed);
        match published {
            Ok(()) => {
                for envelope in envelopes {
                    metrics()
                        .hops
                        .record(Hop::Publish, acknowledged_us.saturating_sub(envelope.stamps.committed_us));
                }
                for span in spans {
                    span.end(acknowledged_us);
                }
            }
            Err(error) => {
                let reason = error.reason();
                metrics().dropped.of(reason).increment(envelopes.len() as u64);
                for span in spans {
                    span.fail(reason.label(), acknowledged_us);
                }
            }
        }
    }
}

/// The envelope of a message. A sampled one opens a span there, whose context travels with it.
fn in_envelope(node: &SenderName, committed: Committed, spans: &mut Vec<trace::Open>) -> Envelope {
    let span = open_span(&committed);
    let Committed { mut message, stamps, .. } = committed;
    if let Some(span) = span {
        message.traceparent = Some(trace::traceparent(&span.context()));
        spans.push(span);
    }
    if fault::loses_context() {
        message.traceparent = None;
    }
    Envelope::new(node.clone(), stamps, message)
}

fn open_span(Committed { message, stamps, trace }: &Committed) -> Option<trace::Open> {
    trace::publish(trace.as_ref()?, &message.channel, stamps.committed_us)
}
