//! A writer: one connection to PostgreSQL, one batch at a time.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use tokio_util::sync::CancellationToken;

use super::{
    Committed, Draft, PersistError,
    append::{Failure, Placed, append, append_answering_early, procedure},
    pace::{Pace, Turn, Turns},
};
use crate::{
    clock, config,
    fault::{self, Queue},
    hop::Hop,
    protocol::{Message, OriginStamps},
    telemetry::{
        labels::{PersistRetry, PublishOutcome},
        metrics::metrics,
        trace,
    },
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// A batch that is committed.
struct Appended {
    placed: Vec<Placed>,
    started_us: u64,
    committed_us: u64,
}

/// See the module.
pub(super) struct Writer<F> {
    config: config::Persist,
    database: PgConnectOptions,
    connection: Option<PgConnection>,
    connected: Arc<AtomicBool>,
    pace: Arc<Pace>,
    turns: Turns,
    /// When the last batch was done with.
    ended_us: u64,
    /// When it last said that it can't connect.
    complained: Option<Instant>,
    /// Whether this one counts as connected. Others may take it for that before it is.
    counted: bool,
    committed: F,
}

impl<F: Fn(Vec<Committed>)> Writer<F> {
    /// A writer that has no connection yet. `connected` tells others whether it has one, and `pace` how fast it is.
    pub(super) fn new(
        config: config::Persist,
        database: PgConnectOptions,
        connected: Arc<AtomicBool>,
        pace: Arc<Pace>,
        committed: F,
    ) -> Self {
        let turns = Turns::default();
        Self {
            config,
            database,
            connection: None,
            connected,
            pace,
            turns,
            ended_us: 0,
            complained: None,
            counted: false,
            committed,
        }
    }

    /// Commits what is queued. When `closing` is cancelled it takes nothing more, and stops once all that
    /// waits is committed or refused.
    pub(super) async fn run(mut self, mut drafts: Queue<Draft>, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(self.config.batch_max);
        loop {
            if self.connection.is_none() {
                self.reconnect_refusing(&mut drafts, &closing).await;
            }
            let count = tokio::select! {
                count = drafts.recv_many(&mut batch, self.config.batch_max) => count,
                () = closing.cancelled(), if !drafts.is_closed() => {
                    drafts.close();
                    continue;
                }
            };
            if count == 0 {
                return;
            }
            metrics().persist_queue.decrement(batch.len() as f64);
            self.take_turn(std::mem::take(&mut batch), drafts.is_holding()).await;
        }
    }

    /// Commits a batch, and learns from it how long others have to wait. It may be less than full although more wait,
    /// if a fault holds those.
    async fn take_turn(&mut self, batch: Vec<Draft>, is_holding: bool) {
        self.pace.taken(clock::now_us());
        let taken = batch.len();
        // While nothing waited there was nothing to do.
        let began_us = batch.first().map_or(0, |draft| draft.queued_us).max(self.ended_us);
        self.commit(batch).await;
        self.ended_us = clock::now_us();
        let turn = Turn {
            us: self.ended_us.saturating_sub(began_us),
            room: if is_holding { taken } else { self.config.batch_max },
            backlogged: is_holding || taken == self.config.batch_max,
        };
        self.turns.end(turn, &self.pace);
    }

    /// Connects, however long it takes, and refuses what is queued meanwhile instead of letting it wait.
    async fn reconnect_refusing(&mut self, drafts: &mut Queue<Draft>, closing: &CancellationToken) {
        while !self.connect().await {
            while let Some(draft) = drafts.take_held() {
                metrics().persist_queue.decrement(1.0);
                draft.refuse(PersistError::Unavailable);
            }
            if closing.is_cancelled() {
                return;
            }
            sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn connect(&mut self) -> bool {
        if self.connection.is_none() {
            match timeout(CONNECT_TIMEOUT, self.database.connect()).await {
                Ok(Ok(connection)) => self.connection = Some(connection),
                Ok(Err(error)) => self.complain(&error),
                Err(_) => self.complain(&format_args!("no answer within {CONNECT_TIMEOUT:?}")),
            }
        }
        self.tell_connected();
        self.connection.is_some()
    }

    /// Says why there is no connection, now and then: it is tried many times a second.
    fn complain(&mut self, why: &dyn Display) {
        if self.complained.is_none_or(|complained| complained.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::warn!(error = %why, "a writer can't connect to PostgreSQL; trying again");
        }
    }

    fn tell_connected(&mut self) {
        let is_connected = self.connection.is_some();
        self.connected.store(is_connected, Ordering::Relaxed);
        match (std::mem::replace(&mut self.counted, is_connected), is_connected) {
            (false, true) => metrics().persist_connected.increment(1.0),
            (true, false) => metrics().persist_connected.decrement(1.0),
            _ => {}
        }
    }

    /// Commits a batch. One that holds a row which PostgreSQL refuses is split until that row is alone.
    async fn commit(&mut self, batch: Vec<Draft>) {
        let mut todo = vec![batch];
        while let Some(mut batch) = todo.pop() {
            match self.append(&mut batch).await {
                Ok(appended) => self.finish(batch, appended),
                Err(Failure::Data) if batch.len() > 1 => {
                    metrics().persist_retries.of(PersistRetry::Split).increment(1);
                    let second_half = batch.split_off(batch.len() / 2);
                    todo.push(second_half);
                    todo.push(batch);
                }
                Err(failure) => {
                    let error = match failure {
                        Failure::Data => PersistError::Rejected,
                        Failure::Contention | Failure::Connection => PersistError::Unavailable,
                    };
                    for draft in batch {
                        draft.refuse(error);
                    }
                }
            }
        }
    }

    /// Sends a batch until it is committed, refused or out of time. To send it twice is safe: what was
    /// committed the first time is a repeat the second time.
    async fn append(&mut self, batch: &mut [Draft]) -> Result<Appended, Failure> {
        let deadline = Instant::now() + self.config.timeout;
        loop {
            let failure = match timeout_at(deadline, self.append_once(batch)).await {
                Ok(Ok(appended)) => return Ok(appended),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Connection,
            };
            match failure {
                Failure::Data => return Err(failure),
                Failure::Contention => metrics().persist_retries.of(PersistRetry::Contention).increment(1),
                Failure::Connection => {
                    metrics().persist_retries.of(PersistRetry::Connection).increment(1);
                    self.connection = None;
                    self.tell_connected();
                    sleep(RECONNECT_PAUSE).await;
                }
            }
            if Instant::now() >= deadline {
                return Err(failure);
            }
        }
    }

    async fn append_once(&mut self, batch: &mut [Draft]) -> Result<Appended, Failure> {
        self.connect().await;
        let started_us = clock::now_us();
        let connection = self.connection.as_mut().ok_or(Failure::Connection)?;
        let to_outbox = self.config.to_outbox;
        let placed = if fault::acks_before_commit() {
            append_answering_early(connection, batch, to_outbox).await?
        } else {
            append(connection, batch, to_outbox).await?
        };
        fault::crash_after_commit();
        let committed_us = clock::now_us();
        metrics().hops.commit(committed_us.saturating_sub(started_us));
        Ok(Appended { placed, started_us, committed_us })
    }

    /// Hands the committed messages on, then tells the publishers.
    fn finish(&self, batch: Vec<Draft>, Appended { placed, started_us, committed_us }: Appended) {
        let batch_messages = batch.len();
        metrics().batch_messages.record(batch_messages as f64);
        let mut traces = Vec::new();
        let mut committed = Vec::with_capacity(batch.len());
        let mut replies = Vec::with_capacity(batch.len());
        for (draft, placed) in batch.into_iter().zip(placed) {
            if placed.conflict {
                draft.refuse(PersistError::Conflict);
                continue;
            }
            metrics().hops.record(Hop::Persist, committed_us.saturating_sub(draft.queued_us));
            let outcome = if placed.repeated { PublishOutcome::Repeated } else { PublishOutcome::Stored };
            metrics().publishes.of(outcome).increment(1);
            let stamps = OriginStamps::committed(draft.accepted_us, draft.queued_us, committed_us);
            let ack = placed.ack(&draft);
            let span = draft.trace.as_ref().and_then(|accept| trace::persist(accept, draft.queued_us));
            let trace = span.map(|span| span.placed(ack.seq, placed.repeated, committed_us));
            traces.extend(trace.clone());
            let message = Message {
                channel: draft.channel,
                seq: ack.seq,
                id: placed.id,
                sender: draft.sender,
                client_message_id: draft.client_message_id,
                body: draft.body,
                accepted_at_ms: placed.accepted_at_ms.cast_unsigned(),
                traceparent: draft.traceparent,
                timing: None,
            };
            // A repeat is published again too: the first publish may have been lost.
            committed.push(Committed { message, stamps, trace });
            replies.push((draft.reply, ack));
        }
        trace::commit(&traces, procedure(self.config.to_outbox), (started_us, committed_us), batch_messages);
        (self.committed)(committed);
        for (reply, ack) in replies {
            // A publisher that has gone meanwhile will retry, or read history.
            let _ = reply.send(Ok(ack));
        }
    }
}
