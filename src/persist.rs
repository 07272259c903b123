//! `persist`: the group commit. Whatever arrived while one batch was being committed is the next batch.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::{ConnectOptions, FromRow, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Duration, Instant, sleep, timeout, timeout_at},
};
use uuid::Uuid;

use crate::{
    clock, config,
    hop::Hop,
    protocol::{Ack, ChannelName, Message, OriginStamps, SenderName},
    telemetry::metrics::{PersistRetry, PublishOutcome, metrics},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

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
    /// W3C Trace Context of the publisher's span.
    pub traceparent: Option<String>,
    /// When its frame was read.
    pub accepted_us: u64,
    /// When it was queued here.
    pub queued_us: u64,
    /// Where the publisher's answer goes.
    pub reply: oneshot::Sender<Result<Ack, PersistError>>,
}

/// A message that is durable, on its way to `publish`.
#[derive(Debug)]
pub struct Committed {
    /// The message as it is stored.
    pub message: Message,
    /// When it passed the hops so far.
    pub stamps: OriginStamps,
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
    /// The queue is full.
    #[error("too many messages wait to be stored; try again")]
    Busy,
    /// PostgreSQL is away or too slow. Whether the message was stored is unknown; a retry with the same
    /// `client_message_id` finds out.
    #[error(
        "the database can't be reached or is too slow; try again with the same client_message_id"
    )]
    Unavailable,
}

/// The way to the writers. When the last clone is dropped they finish what waits, then stop.
#[derive(Clone)]
pub struct Persist {
    writers: Arc<[WriterHandle]>,
}

struct WriterHandle {
    queue: mpsc::Sender<Draft>,
    connected: Arc<AtomicBool>,
}

impl Persist {
    /// Starts the writers. Each batch that they commit goes to `committed`, which must not block.
    pub fn start(
        config: config::Persist,
        database: &PgConnectOptions,
        committed: impl Fn(Vec<Committed>) + Clone + Send + 'static,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let start_writer = |_| {
            let (queue, drafts) = mpsc::channel(config.queue_max);
            let connected = Arc::new(AtomicBool::new(true));
            let handle = WriterHandle {
                queue,
                connected: connected.clone(),
            };
            let committed = committed.clone();
            tasks.spawn(
                Writer {
                    config,
                    database: database.clone(),
                    connection: None,
                    connected,
                    committed,
                }
                .run(drafts),
            );
            handle
        };
        Self {
            writers: (0..config.writers).map(start_writer).collect(),
        }
    }

    /// Queues a message. The answer comes through its `reply` once it is committed or refused; an error
    /// here means that it was not queued, and `reply` is dropped.
    pub fn append(&self, draft: Draft) -> Result<(), PersistError> {
        let writer = self.writer_of(&draft.channel);
        if !writer.connected.load(Ordering::Relaxed) {
            return Err(refused(PersistError::Unavailable));
        }
        writer
            .queue
            .try_send(draft)
            .map_err(|_| refused(PersistError::Busy))
    }

    /// A channel always has the same writer: two of them would change the order of a sender's messages.
    fn writer_of(&self, channel: &ChannelName) -> &WriterHandle {
        let mut hasher = DefaultHasher::new();
        channel.hash(&mut hasher);
        &self.writers[(hasher.finish() % self.writers.len() as u64) as usize]
    }
}

fn refused(error: PersistError) -> PersistError {
    let outcome = match error {
        PersistError::Conflict => PublishOutcome::Conflict,
        PersistError::Rejected => PublishOutcome::Rejected,
        PersistError::Busy => PublishOutcome::Busy,
        PersistError::Unavailable => PublishOutcome::Unavailable,
    };
    metrics().publishes.of(outcome).increment(1);
    error
}

/// What `append_messages` answers for one message.
#[derive(FromRow)]
struct Placed {
    seq: i64,
    id: Uuid,
    accepted_at_ms: i64,
    repeated: bool,
    conflict: bool,
}

/// How a batch failed.
enum Failure {
    /// A row was refused by PostgreSQL; none was stored.
    Data,
    /// PostgreSQL asks to send it again.
    Contention,
    /// The connection broke or was too slow; what became of the batch is unknown.
    Connection,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let Some(code) = error
            .as_database_error()
            .and_then(|error| error.code().map(|code| code.to_string()))
        else {
            tracing::warn!(%error, "lost PostgreSQL while committing");
            return Self::Connection;
        };
        tracing::warn!(%error, %code, "PostgreSQL refused a batch");
        match code.as_str() {
            "40001" | "40P01" => Self::Contention,
            // Data exceptions, violated constraints, exceeded limits: the same again next time.
            code if ["22", "23", "54"].contains(&&code[..2]) => Self::Data,
            _ => Self::Connection,
        }
    }
}

struct Writer<F> {
    config: config::Persist,
    database: PgConnectOptions,
    connection: Option<PgConnection>,
    connected: Arc<AtomicBool>,
    committed: F,
}

impl<F: Fn(Vec<Committed>)> Writer<F> {
    async fn run(mut self, mut drafts: mpsc::Receiver<Draft>) {
        let mut batch = Vec::with_capacity(self.config.batch_max);
        loop {
            if self.connection.is_none() {
                self.reconnect_refusing(&mut drafts).await;
            }
            if drafts.recv_many(&mut batch, self.config.batch_max).await == 0 {
                return;
            }
            metrics().persist_queue.set(drafts.len() as f64);
            self.commit(std::mem::take(&mut batch)).await;
        }
    }

    /// Connects, however long it takes, and refuses what is queued meanwhile instead of letting it wait.
    async fn reconnect_refusing(&mut self, drafts: &mut mpsc::Receiver<Draft>) {
        while !self.connect().await && !(drafts.is_closed() && drafts.is_empty()) {
            while let Ok(draft) = drafts.try_recv() {
                reply(draft.reply, Err(refused(PersistError::Unavailable)));
            }
            sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn connect(&mut self) -> bool {
        if self.connection.is_none() {
            let attempt = timeout(CONNECT_TIMEOUT, self.database.connect()).await;
            self.connection = attempt.ok().and_then(Result::ok);
        }
        self.connected
            .store(self.connection.is_some(), Ordering::Relaxed);
        self.connection.is_some()
    }

    /// Commits a batch. One that holds a row which PostgreSQL refuses is split until that row is alone.
    async fn commit(&mut self, batch: Vec<Draft>) {
        let mut todo = vec![batch];
        while let Some(mut batch) = todo.pop() {
            match self.append(&batch).await {
                Ok(placed) => self.finish(batch, placed),
                Err(Failure::Data) if batch.len() > 1 => {
                    metrics()
                        .persist_retries
                        .of(PersistRetry::Split)
                        .increment(1);
                    let second_half = batch.split_off(batch.len() / 2);
                    todo.push(second_half);
                    todo.push(batch);
                }
                Err(failure) => {
                    let error = match failure {
                        Failure::Data => PersistError::Rejected,
                        Failure::Contention | Failure::Connection => PersistError::Unavailable,
                    };
                    batch
                        .into_iter()
                        .for_each(|draft| reply(draft.reply, Err(refused(error))));
                }
            }
        }
    }

    /// Sends a batch until it is committed, refused or out of time. To send it twice is safe: what was
    /// committed the first time is a repeat the second time.
    async fn append(&mut self, batch: &[Draft]) -> Result<Vec<Placed>, Failure> {
        let deadline = Instant::now() + self.config.timeout;
        loop {
            let started = Instant::now();
            let failure = match timeout_at(deadline, self.append_once(batch)).await {
                Ok(Ok(placed)) => {
                    metrics().commit.record(started.elapsed());
                    return Ok(placed);
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Connection,
            };
            match failure {
                Failure::Data => return Err(failure),
                Failure::Contention => metrics()
                    .persist_retries
                    .of(PersistRetry::Contention)
                    .increment(1),
                Failure::Connection => {
                    metrics()
                        .persist_retries
                        .of(PersistRetry::Connection)
                        .increment(1);
                    self.connection = None;
                    self.connected.store(false, Ordering::Relaxed);
                    sleep(RECONNECT_PAUSE).await;
                }
            }
            if Instant::now() >= deadline {
                return Err(failure);
            }
        }
    }

    /// One round trip: the statement is its own transaction.
    async fn append_once(&mut self, batch: &[Draft]) -> Result<Vec<Placed>, Failure> {
        self.connect().await;
        let connection = self.connection.as_mut().ok_or(Failure::Connection)?;
        fn column<'a, T>(batch: &'a [Draft], value: impl Fn(&'a Draft) -> T) -> Vec<T> {
            batch.iter().map(value).collect()
        }
        let placed = sqlx::query_as::<_, Placed>(
            "SELECT seq, id, accepted_at_ms, repeated, conflict FROM append_messages($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(column(batch, |draft| &*draft.channel))
        .bind(column(batch, |draft| &*draft.sender))
        .bind(column(batch, |draft| draft.client_message_id))
        .bind(column(batch, |draft| draft.id))
        .bind(column(batch, |draft| draft.body.as_str()))
        .bind(column(batch, |draft| (draft.accepted_us / 1000).cast_signed()))
        .bind(column(batch, |draft| draft.traceparent.as_deref()))
        .fetch_all(connection)
        .await?;
        Ok(placed)
    }

    /// Hands the committed messages on, then tells the publishers.
    fn finish(&self, batch: Vec<Draft>, placed: Vec<Placed>) {
        let committed_us = clock::now_us();
        metrics().batch_messages.record(batch.len() as f64);
        let mut committed = Vec::with_capacity(batch.len());
        let mut replies = Vec::with_capacity(batch.len());
        for (draft, placed) in batch.into_iter().zip(placed) {
            if placed.conflict {
                replies.push((draft.reply, Err(refused(PersistError::Conflict))));
                continue;
            }
            metrics().hop(Hop::Persist, committed_us.saturating_sub(draft.queued_us));
            let outcome = if placed.repeated {
                PublishOutcome::Repeated
            } else {
                PublishOutcome::Stored
            };
            metrics().publishes.of(outcome).increment(1);
            let stamps = OriginStamps {
                accepted_us: draft.accepted_us,
                queued_us: draft.queued_us,
                committed_us,
            };
            let message = Message {
                channel: draft.channel,
                seq: placed.seq.cast_unsigned(),
                id: placed.id,
                sender: draft.sender,
                client_message_id: draft.client_message_id,
                body: draft.body,
                accepted_at_ms: placed.accepted_at_ms.cast_unsigned(),
                traceparent: draft.traceparent,
                timing: None,
            };
            let ack = Ack {
                channel: message.channel.clone(),
                seq: message.seq,
                id: message.id,
                client_message_id: message.client_message_id,
                repeated: placed.repeated,
            };
            // A repeat is published again too: the first publish may have been lost.
            committed.push(Committed { message, stamps });
            replies.push((draft.reply, Ok(ack)));
        }
        (self.committed)(committed);
        replies
            .into_iter()
            .for_each(|(to, answer)| reply(to, answer));
    }
}

/// A publisher that has gone meanwhile doesn't matter: it will retry, or read history.
fn reply(to: oneshot::Sender<Result<Ack, PersistError>>, answer: Result<Ack, PersistError>) {
    let _ = to.send(answer);
}
