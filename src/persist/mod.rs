//! `persist`: the group commit. Whatever arrived while one batch was being committed is the next batch.

mod append;
mod pace;
mod writer;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock, config,
    fault::Queue,
    hop::Hop,
    protocol::{Ack, ChannelName, Message, OriginStamps, SenderName},
    telemetry::{
        labels::{Label, PublishOutcome},
        metrics::metrics,
        trace::{self, SpanContext},
    },
};
use pace::Pace;
use writer::Writer;

/// A message that was accepted and has no sequence number yet.
#[derive(Debug)]
pub struct Draft {
    /// The channel's name.
    pub channel: ChannelName,
    /// The identity that it gets if it turns out to be new.
    pub id: Uuid,
    /// Who publishes it.
    pub sender: SenderName,
    /// What the publisher calls it.
    pub client_message_id: Uuid,
    /// The text, without U+0000.
    pub body: String,
    /// W3C Trace Context that is stored with it, so that a message which is healed keeps its trace.
    pub traceparent: Option<String>,
    /// The span of `accept`, if the message is sampled.
    pub trace: Option<SpanContext>,
    /// When its frame was read.
    pub accepted_us: u64,
    /// When it was queued here.
    pub queued_us: u64,
    /// Where the publisher's answer goes.
    pub reply: oneshot::Sender<Result<Ack, PersistError>>,
}

impl Draft {
    /// Answers the publisher and keeps the draft; what it is told later is lost.
    fn answer(&mut self, ack: Ack) {
        let (no_one, _) = oneshot::channel();
        let _ = std::mem::replace(&mut self.reply, no_one).send(Ok(ack));
    }

    /// Tells the publisher, and the message's trace, that it is not stored.
    fn refuse(self, error: PersistError) {
        let outcome = match error {
            PersistError::Conflict => PublishOutcome::Conflict,
            PersistError::Rejected => PublishOutcome::Rejected,
            PersistError::Busy { .. } => PublishOutcome::Busy,
            PersistError::Unavailable => PublishOutcome::Unavailable,
        };
        metrics().publishes.of(outcome).increment(1);
        if let Some(span) = self.trace.and_then(|accept| trace::persist(&accept, self.queued_us)) {
            span.fail(outcome.label(), clock::now_us());
        }
        // A publisher that has gone meanwhile will retry, or read history.
        let _ = self.reply.send(Err(error));
    }
}

/// A message that is durable, on its way to `publish`.
#[derive(Debug)]
pub struct Committed {
    /// The message as it is stored.
    pub message: Message,
    /// When it passed the hops so far.
    pub stamps: OriginStamps,
    /// The span of `persist`, if the message is sampled.
    pub trace: Option<SpanContext>,
}

/// Why a message was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersistError {
    /// The same sender used the `client_message_id` in this channel for another body.
    #[error("this client_message_id was used for another body")]
    Conflict,
    /// PostgreSQL refuses the data.
    #[error("the message can't be stored")]
    Rejected,
    /// It would have to wait too long, or the queue is full.
    #[error("too many messages wait to be stored; try again")]
    Busy {
        /// By then all that waits now should be stored.
        wait: Duration,
    },
    /// PostgreSQL is away or too slow. Whether the message was stored is unknown; a retry with the same
    /// `client_message_id` finds out.
    #[error("the database can't be reached or is too slow; try again with the same client_message_id")]
    Unavailable,
}

/// The way to the writers.
#[derive(Clone)]
pub struct Persist {
    writers: Arc<[WriterHandle]>,
    wait_max: Duration,
}

struct WriterHandle {
    queue: mpsc::Sender<Draft>,
    connected: Arc<AtomicBool>,
    pace: Arc<Pace>,
}

impl Persist {
    /// Starts the writers. When `closing` is cancelled they take nothing more, commit what waits and stop. Each
    /// batch goes to `committed`, which must not block.
    pub fn start(
        config: config::Persist,
        database: &PgConnectOptions,
        committed: impl Fn(Vec<Committed>) + Clone + Send + 'static,
        closing: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let start_writer = |_| {
            let (queue, drafts) = mpsc::channel(config.queue_max);
            let drafts = Queue::new(Hop::Persist, drafts, |draft: &Draft| draft.queued_us);
            let (connected, pace) = (Arc::new(AtomicBool::new(true)), Arc::new(Pace::default()));
            let handle = WriterHandle { queue, connected: connected.clone(), pace: pace.clone() };
            let writer = Writer::new(config, database.clone(), connected, pace, committed.clone());
            tasks.spawn(writer.run(drafts, closing.clone()));
            handle
        };
        Self { writers: (0..config.writers).map(start_writer).collect(), wait_max: config.wait_max }
    }

    /// Queues a message. The answer comes through its `reply` once it is committed or refused; what would have to wait
    /// too long is refused at once.
    pub fn append(&self, draft: Draft) {
        let writer = self.writer_of(&draft.channel);
        if !writer.connected.load(Ordering::Relaxed) {
            return draft.refuse(PersistError::Unavailable);
        }
        let queued = writer.queue.max_capacity() - writer.queue.capacity();
        let wait = writer.pace.expected_wait(queued, draft.queued_us);
        if wait > self.wait_max {
            return draft.refuse(PersistError::Busy { wait });
        }
        match writer.queue.try_send(draft) {
            Ok(()) => metrics().persist_queue.increment(1.0),
            Err(TrySendError::Full(draft)) => draft.refuse(PersistError::Busy { wait }),
            Err(TrySendError::Closed(draft)) => draft.refuse(PersistError::Unavailable),
        }
    }

    /// A channel always has the same writer: two of them would change the order of a sender's messages.
    fn writer_of(&self, channel: &ChannelName) -> &WriterHandle {
        let mut hasher = DefaultHasher::new();
        channel.hash(&mut hasher);
        let number = hasher.finish() % self.writers.len() as u64;
        &self.writers[usize::try_from(number).expect("less than the number of writers")]
    }
}
