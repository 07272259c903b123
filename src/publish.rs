//! `publish`: hands committed messages to the broker, in the order of commits.

use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::mpsc;

use crate::{
    broker::{Broker, Envelope, PublishError},
    clock,
    fault::{self, Line},
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

/// Publishes under way at once. The connection sends them in order, so none has to wait for the
/// acknowledgement of the one before.
const IN_FLIGHT_MAX: usize = 64;

/// The way to the publisher. When the last clone is dropped it finishes what waits, then stops.
#[derive(Clone)]
pub struct Publish {
    batches: Line<Vec<Committed>>,
}

impl Publish {
    /// A publisher for `node`, and the task that it needs.
    pub fn new(node: SenderName, broker: Arc<dyn Broker>) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, batches) = mpsc::channel(QUEUE_MAX);
        let batches_in = Line::new(Hop::Publish, move |batch: Vec<Committed>| {
            let messages = batch.len();
            match queue.try_send(batch) {
                Ok(()) => metrics().publish_queue.increment(messages as f64),
                Err(_) => metrics().dropped.of(DropReason::PublishQueueFull).increment(messages as u64),
            }
        });
        (Self { batches: batches_in }, run(node, broker, batches))
    }

    /// Queues a batch that was committed at `committed_us`.
    pub fn hand_over(&self, batch: Vec<Committed>, committed_us: u64) {
        self.batches.pass(committed_us, batch);
    }
}

async fn run(node: SenderName, broker: Arc<dyn Broker>, mut batches: mpsc::Receiver<Vec<Committed>>) {
    let mut in_flight = FuturesUnordered::new();
    loop {
        tokio::select! {
            // First, so that a publish is sent before the next one is taken.
            biased;
            Some(()) = in_flight.next() => {}
            batch = batches.recv(), if in_flight.len() < IN_FLIGHT_MAX => match batch {
                Some(batch) => in_flight.push(publish(&node, &*broker, batch)),
                None => break,
            },
        }
    }
    while in_flight.next().await.is_some() {}
}

async fn publish(node: &SenderName, broker: &dyn Broker, batch: Vec<Committed>) {
    let mut spans = Vec::new();
    let envelopes: Vec<_> = batch.into_iter().map(|each| in_envelope(node, each, &mut spans)).collect();
    let published = broker.publish(&envelopes).await;
    let acknowledged_us = clock::now_us();
    metrics().publish_queue.decrement(envelopes.len() as f64);
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
            let reason = match error {
                PublishError::Down => DropReason::BrokerDown,
                PublishError::Failed => DropReason::PublishFailed,
            };
            metrics().dropped.of(reason).increment(envelopes.len() as u64);
            for span in spans {
                span.fail(reason.label(), acknowledged_us);
            }
        }
    }
}

/// The envelope of a message. A sampled one opens a span there, whose context travels with it.
fn in_envelope(node: &SenderName, committed: Committed, spans: &mut Vec<trace::Open>) -> Envelope {
    let Committed { mut message, stamps, trace } = committed;
    let span = trace.and_then(|persist| trace::publish(&persist, &message.channel, stamps.committed_us));
    if let Some(span) = span {
        message.traceparent = Some(trace::traceparent(&span.context()));
        spans.push(span);
    }
    if fault::loses_context() {
        message.traceparent = None;
    }
    Envelope::new(node.clone(), stamps, message)
}
