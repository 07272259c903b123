//! The relay: publishes what waits in the outbox, oldest first, and removes what the broker has acknowledged.

use std::{
    future::ready,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Here,
    rows::{Backlog, Session, Waiting},
    wake,
};
use crate::{
    broker::{Broker, Envelope},
    clock, config,
    fault::{self, Hold},
    history::HistoryError,
    hop::Hop,
    protocol::SenderName,
    telemetry::{labels::Label, metrics::metrics, trace},
};

/// Messages that are published together, at most. After a failure it is half as many, down to one, since all of them have to be
/// acknowledged within one limit of time: long messages over a slow link would never be otherwise.
const BATCH_MAX: usize = 512;

/// How often the others try to take over.
const TAKE_OVER_EVERY: Duration = Duration::from_millis(500);

/// A relay that has published nothing of what waits for so long gives way: another server may reach the broker.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(5);

/// For how long: whoever reaches the broker has tried to take over meanwhile.
const GIVES_WAY_FOR: Duration = TAKE_OVER_EVERY.saturating_mul(2);

/// How long to wait after a publish that failed.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Relay {
    node: SenderName,
    config: config::Outbox,
    database: PgConnectOptions,
    broker: Arc<dyn Broker>,
    here: Arc<Here>,
    holds: Holds,
    batch_max: usize,
    /// Since when it can't publish.
    failing_since: Option<Instant>,
}

/// Where messages are held, if a fault says so.
struct Holds {
    outbox: Hold,
    publish: Hold,
}

impl Relay {
    /// A relay that has no session yet.
    pub(super) fn new(
        node: SenderName,
        config: config::Outbox,
        database: PgConnectOptions,
        broker: Arc<dyn Broker>,
        here: Arc<Here>,
    ) -> Self {
        let holds = Holds { outbox: Hold::new(Hop::Outbox), publish: Hold::new(Hop::Publish) };
        Self { node, config, database, broker, here, holds, batch_max: BATCH_MAX, failing_since: None }
    }

    /// Stands by until it has the lock, relays until it has lost it, and so on until `ended`.
    pub(super) async fn run(mut self, ended: CancellationToken) {
        while !ended.is_cancelled() {
            let relayed = match self.stand_by(&ended).await {
                Ok(Some(session)) => self.relay(session, &ended).await,
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let pause = match relayed {
                Ok(()) => GIVES_WAY_FOR,
                Err(error) => {
                    tracing::warn!(%error, "lost PostgreSQL while relaying, or waiting to");
                    resign();
                    TAKE_OVER_EVERY
                }
            };
            ended.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// A session with the lock; none if it is too late for one.
    async fn stand_by(&self, ended: &CancellationToken) -> Result<Option<Session>, HistoryError> {
        let mut session = Session::open(&self.database).await?;
        while !session.try_lock().await? {
            resign();
            // Whoever reaches the broker goes first.
            let pause = if self.broker.is_connected() { TAKE_OVER_EVERY } else { GIVES_WAY_AFTER };
            if ended.run_until_cancelled(sleep(pause)).await.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(session))
    }

    /// The lock goes with the session, when this returns. If that is to give way, what waits is still this server's to tell,
    /// until another one has the lock.
    async fn relay(&mut self, session: Session, ended: &CancellationToken) -> Result<(), HistoryError> {
        tracing::info!("this server relays the outbox now");
        self.here.relays.store(true, Ordering::Relaxed);
        metrics().outbox_relay.set(1.0);
        let (here, database, is_woken) = (self.here.clone(), self.database.clone(), self.config.woken);
        let relayed = tokio::select! {
            relayed = self.publish_until(session, ended) => relayed,
            () = wake::listen(&database, &here.woken), if is_woken => Ok(()),
        };
        self.here.relays.store(false, Ordering::Relaxed);
        relayed
    }

    async fn publish_until(
        &mut self,
        mut session: Session,
        ended: &CancellationToken,
    ) -> Result<(), HistoryError> {
        let here = self.here.clone();
        let mut looks = interval(config::Outbox::LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut more = false;
        loop {
            tokio::select! {
                // First, for the backlog must be told just when there is always more.
                biased;
                _ = looks.tick() => tell(&session.backlog().await?),
                () = ready(()), if more => {}
                () = here.woken.notified() => {}
                () = ended.cancelled() => {}
            }
            more = if self.broker.is_connected() {
                self.publish_oldest(&mut session, ended).await?
            } else {
                self.failing_since.get_or_insert_with(Instant::now);
                false
            };
            if ended.is_cancelled() && !more {
                return Ok(());
            }
            if self.failing_since.is_some_and(|since| since.elapsed() >= GIVES_WAY_AFTER) {
                tracing::warn!("can't publish what is in the outbox; another server may relay it");
                self.failing_since = None;
                return Ok(());
            }
        }
    }

    /// Returns whether more may wait that came before this call, or these could not be published and there is time to try
    /// again. For what came since there is another wake, or look.
    async fn publish_oldest(
        &mut self,
        session: &mut Session,
        ended: &CancellationToken,
    ) -> Result<bool, HistoryError> {
        let batch_max = self.batch_max;
        let oldest = session.oldest(batch_max).await?;
        let count = oldest.len();
        let waiting = self.holds.let_pass(oldest).await;
        if waiting.is_empty() {
            self.failing_since = None;
            return Ok(false);
        }
        let more = count == batch_max || waiting.len() < count;
        let published_us = clock::now_us();
        let positions: Vec<i64> = waiting.iter().map(|each| each.position).collect();
        let mut spans = Vec::new();
        let envelopes: Vec<_> =
            waiting.into_iter().map(|each| self.in_envelope(each, published_us, &mut spans)).collect();
        let stay = self.holds.publish.begin(published_us);
        self.holds.publish.until_over(stay).await;
        let published = self.broker.publish(&envelopes).await;
        let acknowledged_us = clock::now_us();
        if let Err(error) = published {
            tracing::debug!(%error, messages = positions.len(), "could not publish; trying again");
            metrics().outbox_failures.increment(1);
            for span in spans {
                span.fail(error.reason().label(), acknowledged_us);
            }
            self.batch_max = (batch_max / 2).max(1);
            self.failing_since.get_or_insert_with(Instant::now);
            sleep(RETRY_PAUSE).await;
            return Ok(!ended.is_cancelled());
        }
        for stamps in envelopes.iter().map(|envelope| envelope.stamps) {
            metrics().hops.record(Hop::Outbox, published_us.saturating_sub(stamps.committed_us));
            metrics().hops.record(Hop::Publish, acknowledged_us.saturating_sub(published_us));
        }
        for span in spans {
            span.end(acknowledged_us);
        }
        fault::crash_after_publish();
        session.remove(&positions).await?;
        self.batch_max = (batch_max * 2).min(BATCH_MAX);
        self.failing_since = None;
        Ok(more)
    }

    /// The envelope of a message. A sampled one has its spans here, the last of which travels with it.
    fn in_envelope(
        &self,
        Waiting { mut stamps, mut message, .. }: Waiting,
        published_us: u64,
        spans: &mut Vec<trace::Open>,
    ) -> Envelope {
        stamps.published_us = Some(published_us);
        let accept = trace::Incoming::read_if_traced(message.traceparent.as_deref()).sampled();
        let outbox = accept.and_then(|accept| trace::outbox(&accept, (stamps.committed_us, published_us)));
        let publish = outbox.and_then(|outbox| trace::publish(&outbox, &message.channel, published_us));
        if let Some(span) = publish {
            message.traceparent = Some(trace::traceparent(&span.context()));
            spans.push(span);
        }
        if fault::loses_context() {
            message.traceparent = None;
        }
        Envelope::new(self.node.clone(), stamps, message)
    }
}

impl Holds {
    /// Waits until the first one may go on, and takes those that may then.
    async fn let_pass(&mut self, mut waiting: Vec<Waiting>) -> Vec<Waiting> {
        if let Some(first) = waiting.first().filter(|_| self.outbox.is_on()) {
            let stay = self.outbox.begin(first.stamps.committed_us);
            self.outbox.until_over(stay).await;
            let may_pass = |each: &&Waiting| {
                let stay = self.outbox.begin(each.stamps.committed_us);
                self.outbox.end_if_over(stay)
            };
            let count = 1 + waiting.iter().skip(1).take_while(may_pass).count();
            waiting.truncate(count);
        }
        waiting
    }
}

/// What waits is another server's to tell.
fn resign() {
    metrics().outbox_relay.set(0.0);
    tell(&Backlog::default());
}

fn tell(backlog: &Backlog) {
    metrics().outbox_messages.set(backlog.messages as f64);
    metrics().outbox_age.set(backlog.age_us as f64 / 1e6);
}
