//! `receive`: brings what the broker lost, repeated or reordered back into each channel's order, heals gaps
//! from PostgreSQL, and hands messages to the recipients.
//!
//! One task owns the positions and the subscriptions, so that a client joins between two messages and never
//! in the middle of one. It does no I/O itself: reads run beside it.

mod checks;
mod heal;
pub mod order;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    broker::{Broker, BrokerEvent, Envelope, Incoming},
    clock, config,
    fault::Queue,
    history::History,
    hop::{Hop, Origin},
    protocol::{ChannelName, SenderName},
    send::{Delivery, Fanout, Registration, Waiting},
    telemetry::{
        labels::{Arrival, CheckTrigger, DropReason, Label},
        metrics::metrics,
        trace::{self, Received},
    },
};
use checks::Checks;
use heal::{HEALED_MAX, Read};
use order::{Order, Placed};

/// Early messages held for one channel.
const AHEAD_MAX: usize = 1024;
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
    broker: Arc<dyn Broker>,
    history: Arc<dyn History>,
    order: Order<Delivery>,
    fanout: Fanout,
    /// What is in order, on its way from `order` to `fanout`; kept to reuse its memory.
    deliver: Vec<Delivery>,
    /// Who joined a channel without a position, and waits for its counter to be read.
    joining: HashMap<ChannelName, Vec<oneshot::Sender<Option<u64>>>>,
    started: Instant,
    checks: Checks,
    reads: JoinSet<Read>,
    healing: bool,
    /// Channels that the next read heals, at most, and messages of each.
    healed_max: usize,
}

impl Receive {
    /// A stage that has received nothing yet.
    pub fn new(
        node: SenderName,
        config: config::Receive,
        broker: Arc<dyn Broker>,
        history: Arc<dyn History>,
        waiting: Waiting,
    ) -> Self {
        Self {
            node,
            broker,
            history,
            order: Order::new(config.gap_patience, AHEAD_MAX),
            fanout: Fanout::new(waiting),
            deliver: Vec::new(),
            joining: HashMap::new(),
            started: Instant::now(),
            checks: Checks::new(config),
            reads: JoinSet::new(),
            healing: false,
            healed_max: HEALED_MAX,
        }
    }

    /// Runs until an input is closed.
    pub async fn run(mut self, Inputs { events, mut registrations }: Inputs) {
        let mut arrivals = Queue::new(Hop::Receive, events, BrokerEvent::received_us);
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        loop {
            let wake_at = self.wake_at();
            tokio::select! {
                count = arrivals.recv_many(&mut events, EVENTS_AT_ONCE) => {
                    if count == 0 { return }
                    events.drain(..).for_each(|event| self.on_event(event));
                }
                registration = registrations.recv() => match registration {
                    Some(registration) => self.on_registration(registration),
                    None => return,
                },
                Some(read) = self.reads.join_next() => self.on_read(read.expect("a read does not panic")),
                () = sleep_until(wake_at) => self.on_time(),
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let gap_due = self.order.next_due().filter(|_| !self.healing).map(|due| self.started + due);
        gap_due.map_or(self.checks.next_at(), |due| due.min(self.checks.next_at()))
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn on_event(&mut self, event: BrokerEvent) {
        match event {
            BrokerEvent::Message(incoming) => self.on_incoming(&incoming),
            BrokerEvent::Lost => {
                self.checks.set_broker_up(false);
                self.check(CheckTrigger::Lost);
            }
            BrokerEvent::Restored => {
                self.checks.set_broker_up(true);
                self.check(CheckTrigger::Restored);
            }
        }
    }

    fn on_incoming(&mut self, incoming: &Incoming) {
        metrics().receive_queue.decrement(1.0);
        self.checks.heard();
        if incoming.after_overflow {
            self.check(CheckTrigger::Overflow);
        }
        let Envelope { node, stamps, message, .. } = match Envelope::decode(&incoming.payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::warn!(%error, "dropped what came from the broker");
                return metrics().dropped.of(DropReason::MalformedEnvelope).increment(1);
            }
        };
        let origin = if node == self.node { Origin::Own } else { Origin::Peer };
        let received_us = incoming.received_us;
        let trace = trace::Incoming::read_if_traced(message.traceparent.as_deref()).sampled();
        metrics().hops.broadcast(origin, received_us.saturating_sub(stamps.publish_us()), trace.as_ref());
        let (channel, seq, now) = (message.channel.clone(), message.seq, self.now());
        let delivery = Delivery { message, origin, stamps: Some(stamps), received_us, trace: trace.clone() };
        let placed = self.order.arrive(now, &channel, seq, delivery, &mut self.deliver);
        count(placed);
        if let (Some(ended), Some(publish)) = (why_it_ended(placed), trace) {
            let (channel, ended, done_us) = (&channel, Some(ended), clock::now_us());
            trace::receive(&publish, &Received { channel, seq, origin, ended, received_us, done_us });
        }
        self.deliver();
    }

    fn on_registration(&mut self, registration: Registration) {
        match registration {
            Registration::Join { channel, client, timing, joined } => {
                self.fanout.join(&channel, client, timing);
                if self.order.watch(&channel) {
                    let _ = joined.send(None);
                } else {
                    self.read_baseline(channel, joined);
                }
            }
            Registration::Begin { channel, session, last_seq, frames, begun } => {
                self.fanout.begin(&channel, session, last_seq, frames);
                let _ = begun.send(());
            }
            Registration::Leave { channel, session, farewell } => {
                if self.fanout.leave(&channel, session, farewell) {
                    self.order.unwatch(&channel);
                    self.broker.unsubscribe(&channel);
                }
            }
        }
    }

    fn on_time(&mut self) {
        if self.checks.next_at() <= Instant::now() {
            if self.checks.broker_is_deaf() {
                self.broker.reconnect();
            }
            self.check(CheckTrigger::Interval);
        }
        self.heal();
    }

    fn deliver(&mut self) {
        for delivery in self.deliver.drain(..) {
            self.fanout.deliver(delivery);
        }
    }
}

fn count(placed: Placed) {
    match placed {
        Placed::InOrder => metrics().arrivals.of(Arrival::InOrder).increment(1),
        Placed::Early => metrics().arrivals.of(Arrival::Early).increment(1),
        Placed::Duplicate => metrics().arrivals.of(Arrival::Duplicate).increment(1),
        Placed::Unwatched => metrics().arrivals.of(Arrival::Unwatched).increment(1),
        Placed::AheadFull => metrics().dropped.of(DropReason::AheadFull).increment(1),
    }
}

/// Why a message goes no further, as metrics have it; none if it is or will be delivered.
fn why_it_ended(placed: Placed) -> Option<&'static str> {
    match placed {
        Placed::InOrder | Placed::Early => None,
        Placed::Duplicate => Some(Arrival::Duplicate.label()),
        Placed::Unwatched => Some(Arrival::Unwatched.label()),
        Placed::AheadFull => Some(DropReason::AheadFull.label()),
    }
}
