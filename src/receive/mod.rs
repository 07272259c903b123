//! `receive`: brings what the broker lost, repeated or reordered back into each channel's order, heals gaps
//! from PostgreSQL, and hands messages to the recipients.
//!
//! One task owns the positions and the subscriptions, so that a client joins between two messages and never
//! in the middle of one. It does no I/O itself: reads run beside it, one of each kind at a time.

pub mod order;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    broker::{Broker, BrokerEvent, Envelope, Incoming},
    clock, config,
    history::{History, HistoryError},
    hop::Origin,
    protocol::{ChannelName, Message, SenderName},
    send::{Delivery, Fanout, Registration},
    telemetry::metrics::{Arrival, CheckTrigger, DropReason, GapCause, metrics},
};
use order::{Missing, Order, Placed};

/// Early messages held for one channel.
const AHEAD_MAX: usize = 1024;
/// Channels that one read heals, and messages of each: together they bound its memory.
const HEALED_CHANNELS_MAX: usize = 64;
const HEALED_MESSAGES_MAX: usize = 64;
/// How long to wait after a read for healing that failed.
const HEAL_PAUSE: Duration = Duration::from_millis(100);
/// Checks in a row that found what a broker, seemingly up, did not bring: then it is deaf.
const DEAF_CHECKS: u32 = 2;
/// Broker events taken at once.
const EVENTS_AT_ONCE: usize = 256;

/// The stage's inputs: it ends when either queue is closed.
pub struct Inputs {
    /// From the broker.
    pub events: mpsc::Receiver<BrokerEvent>,
    /// From the clients' connections.
    pub registrations: mpsc::Receiver<Registration>,
}

/// The state of the stage.
pub struct Receive {
    node: SenderName,
    config: config::Receive,
    broker: Arc<dyn Broker>,
    history: History,
    order: Order<Delivery>,
    fanout: Fanout,
    /// What is in order, on its way from `order` to `fanout`; kept to reuse its memory.
    deliver: Vec<Delivery>,
    started: Instant,
    broker_up: bool,
    reads: JoinSet<Read>,
    healing: bool,
    checking: bool,
    /// A check that was called for while one was under way.
    check_again: Option<CheckTrigger>,
    next_check: Instant,
    /// Whether comparing positions has found a gap since the last check, and how many checks in a row did.
    missed_since_check: bool,
    deaf_checks: u32,
}

/// What a read brought.
enum Read {
    Missing(Vec<Missing>, Result<Vec<Message>, HistoryError>),
    Positions(Result<Vec<(ChannelName, u64)>, HistoryError>),
}

impl Receive {
    /// A stage that has received nothing yet.
    pub fn new(
        node: SenderName,
        config: config::Receive,
        broker: Arc<dyn Broker>,
        history: History,
    ) -> Self {
        Self {
            node,
            config,
            broker,
            history,
            order: Order::new(config.gap_patience, AHEAD_MAX),
            fanout: Fanout::default(),
            deliver: Vec::new(),
            started: Instant::now(),
            broker_up: false,
            reads: JoinSet::new(),
            healing: false,
            checking: false,
            check_again: None,
            next_check: Instant::now(),
            missed_since_check: false,
            deaf_checks: 0,
        }
    }

    /// Runs until an input is closed.
    pub async fn run(mut self, mut inputs: Inputs) {
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        loop {
            let wake_at = self.wake_at();
            tokio::select! {
                count = inputs.events.recv_many(&mut events, EVENTS_AT_ONCE) => {
                    if count == 0 { return }
                    events.drain(..).for_each(|event| self.on_event(event));
                }
                registration = inputs.registrations.recv() => match registration {
                    Some(registration) => self.on_registration(registration),
                    None => return,
                },
                Some(read) = self.reads.join_next() => self.on_read(read.expect("a read does not panic")),
                () = sleep_until(wake_at) => self.on_time(),
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let gap_due = self
            .order
            .next_due()
            .filter(|_| !self.healing)
            .map(|due| self.started + due);
        gap_due.map_or(self.next_check, |due| due.min(self.next_check))
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn on_event(&mut self, event: BrokerEvent) {
        match event {
            BrokerEvent::Message(incoming) => self.on_incoming(&incoming),
            BrokerEvent::Lost => {
                self.broker_up = false;
                self.check(CheckTrigger::Interval);
            }
            BrokerEvent::Restored => {
                self.broker_up = true;
                self.deaf_checks = 0;
                self.check(CheckTrigger::Restored);
            }
        }
    }

    fn on_incoming(&mut self, incoming: &Incoming) {
        if incoming.after_overflow {
            self.check(CheckTrigger::Overflow);
        }
        let Envelope {
            node,
            stamps,
            message,
            ..
        } = match Envelope::decode(&incoming.payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::warn!(%error, "dropped what came from the broker");
                return metrics()
                    .dropped
                    .of(DropReason::MalformedEnvelope)
                    .increment(1);
            }
        };
        let origin = if node == self.node {
            Origin::Own
        } else {
            Origin::Peer
        };
        let received_us = incoming.received_us;
        metrics().broadcast(origin, received_us.saturating_sub(stamps.committed_us));
        let (channel, seq, now) = (message.channel.clone(), message.seq, self.now());
        let delivery = Delivery {
            message,
            origin,
            stamps: Some(stamps),
            received_us,
        };
        match self
            .order
            .arrive(now, &channel, seq, delivery, &mut self.deliver)
        {
            Placed::InOrder => metrics().arrivals.of(Arrival::InOrder).increment(1),
            Placed::Early => metrics().arrivals.of(Arrival::Early).increment(1),
            Placed::Duplicate => metrics().arrivals.of(Arrival::Duplicate).increment(1),
            Placed::Unwatched => metrics().arrivals.of(Arrival::Unwatched).increment(1),
            Placed::AheadFull => metrics().dropped.of(DropReason::AheadFull).increment(1),
        }
        self.deliver();
    }

    fn on_registration(&mut self, registration: Registration) {
        match registration {
            Registration::Join {
                channel,
                client,
                timing,
                joined,
            } => {
                if self.fanout.join(&channel, client, timing) {
                    self.order.watch(&channel);
                }
                let _ = joined.send(());
            }
            Registration::Begin {
                channel,
                session,
                last_seq,
                frames,
            } => {
                // The client first: what the channel has held back until now is for it too.
                self.fanout.begin(&channel, session, last_seq, frames);
                let now = self.now();
                self.order.begin(now, &channel, last_seq, &mut self.deliver);
                self.deliver();
            }
            Registration::Leave {
                channel,
                session,
                farewell,
            } => {
                if self.fanout.leave(&channel, session, farewell) {
                    self.order.unwatch(&channel);
                }
            }
        }
    }

    fn on_time(&mut self) {
        if self.next_check <= Instant::now() {
            self.check(CheckTrigger::Interval);
        }
        self.heal();
    }

    /// Reads what is missing and overdue.
    fn heal(&mut self) {
        if self.healing {
            return;
        }
        let missing = self.order.due(self.now(), HEALED_CHANNELS_MAX);
        if missing.is_empty() {
            return;
        }
        for gap in &missing {
            metrics().gaps.of(gap.cause).increment(1);
            self.missed_since_check |= gap.cause == GapCause::Position;
        }
        self.healing = true;
        let history = self.history.clone();
        self.reads.spawn(async move {
            let ranges = missing
                .iter()
                .map(|gap| (&gap.channel, gap.after, gap.upto));
            let stored = history.pages(ranges, HEALED_MESSAGES_MAX).await;
            Read::Missing(missing, stored)
        });
    }

    /// Compares all positions with the channels' counters; if that is being done, once more afterwards.
    fn check(&mut self, trigger: CheckTrigger) {
        let interval = if self.broker_up {
            self.config.check_interval
        } else {
            self.config.check_interval_down
        };
        self.next_check = Instant::now() + interval;
        if self.checking {
            if trigger != CheckTrigger::Interval {
                self.check_again = Some(trigger);
            }
            return;
        }
        metrics().position_checks.of(trigger).increment(1);
        if trigger == CheckTrigger::Interval {
            self.look_for_deafness();
        }
        let channels: Vec<ChannelName> = self.order.watched().cloned().collect();
        if channels.is_empty() {
            return;
        }
        self.checking = true;
        let history = self.history.clone();
        self.reads
            .spawn(async move { Read::Positions(history.positions(&channels).await) });
    }

    /// A broker that seems up, but whose messages keep being found by comparison, is deaf.
    fn look_for_deafness(&mut self) {
        let missed = std::mem::take(&mut self.missed_since_check);
        self.deaf_checks = if missed && self.broker_up {
            self.deaf_checks + 1
        } else {
            0
        };
        if self.deaf_checks >= DEAF_CHECKS {
            self.deaf_checks = 0;
            self.broker.reconnect();
        }
    }

    fn on_read(&mut self, read: Read) {
        match read {
            Read::Missing(missing, stored) => {
                self.healing = false;
                match stored {
                    Ok(messages) => self.on_healed(missing, messages),
                    Err(error) => self.on_heal_failed(&missing, &error),
                }
            }
            Read::Positions(positions) => {
                self.checking = false;
                self.on_positions(positions);
                if let Some(trigger) = self.check_again.take() {
                    self.check(trigger);
                }
            }
        }
        self.heal();
    }

    fn on_positions(&mut self, positions: Result<Vec<(ChannelName, u64)>, HistoryError>) {
        let now = self.now();
        match positions {
            Ok(positions) => {
                for (channel, last_seq) in positions {
                    self.order.compare(now, &channel, last_seq, self.broker_up);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "could not compare positions; trying again");
                metrics().heal_failures.increment(1);
                self.next_check = self
                    .next_check
                    .min(Instant::now() + self.config.check_interval_down);
            }
        }
    }

    fn on_healed(&mut self, missing: Vec<Missing>, messages: Vec<Message>) {
        let received_us = clock::now_us();
        metrics().healed.increment(messages.len() as u64);
        let mut stored: HashMap<ChannelName, Vec<(u64, Delivery)>> = HashMap::new();
        for message in messages {
            let (channel, seq) = (message.channel.clone(), message.seq);
            let delivery = Delivery {
                message,
                origin: Origin::Healed,
                stamps: None,
                received_us,
            };
            stored.entry(channel).or_default().push((seq, delivery));
        }
        let now = self.now();
        for gap in missing {
            let stored = stored.remove(&gap.channel).unwrap_or_default();
            // A full page says nothing about what comes after its last message.
            let complete_upto = match stored.iter().map(|(seq, _)| *seq).max() {
                Some(last) if stored.len() == HEALED_MESSAGES_MAX => last,
                _ => gap.upto,
            };
            let skipped =
                self.order
                    .healed(now, &gap.channel, complete_upto, stored, &mut self.deliver);
            metrics().skipped.increment(skipped);
        }
        self.deliver();
    }

    fn on_heal_failed(&mut self, missing: &[Missing], error: &HistoryError) {
        tracing::warn!(%error, channels = missing.len(), "could not heal; trying again");
        metrics().heal_failures.increment(1);
        let now = self.now();
        for gap in missing {
            self.order.heal_failed(now, &gap.channel, HEAL_PAUSE);
        }
    }

    fn deliver(&mut self) {
        for delivery in self.deliver.drain(..) {
            self.fanout.deliver(delivery);
        }
    }
}
