//! Which clients are subscribed to which channel, and the handing over of messages to their queues.

use std::collections::HashMap;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{Client, Delivery, Frame, Outgoing, Waiting, frames::Frames, times::tickets};
use crate::{
    clock,
    hop::Hop,
    protocol::{ChannelName, CloseCode},
    telemetry::{labels::DropReason, metrics::metrics},
};

/// Registrations that may wait. Whoever has one more waits for room.
const REGISTRATIONS_MAX: usize = 1024;

/// Live messages held back for a subscription that is still reading history. With more it is given up.
const HELD_MAX: usize = 1024;

/// A change of the subscriptions, made between two messages.
pub enum Registration {
    /// Holds the channel's messages back for the client from now on.
    Join {
        /// The channel's name.
        channel: ChannelName,
        /// The subscriber.
        client: Client,
        /// Whether it wants [`Timing`](crate::protocol::Timing).
        timing: bool,
        /// Told when the channel has a position on this server, with its counter if that was read for it.
        joined: oneshot::Sender<Option<u64>>,
    },
    /// Sends `frames`, then what was held back and is newer than `last_seq`, then all that follows.
    Begin {
        /// The channel's name.
        channel: ChannelName,
        /// The subscriber.
        session: Uuid,
        /// The channel's counter, read after the client joined.
        last_seq: u64,
        /// The answer and what was missed.
        frames: Vec<Utf8Bytes>,
        /// Told when all of it is in the client's queue.
        begun: oneshot::Sender<()>,
    },
    /// Ends a subscription, after what was handed over before.
    Leave {
        /// The channel's name.
        channel: ChannelName,
        /// The subscriber.
        session: Uuid,
        /// The last frame, if the client is still there.
        farewell: Option<Utf8Bytes>,
    },
}

/// The way to register subscriptions.
#[derive(Clone)]
pub struct Registrar(mpsc::Sender<Registration>);

impl Registrar {
    /// A registrar, and the queue that the owner of the [`Fanout`] serves.
    pub fn new() -> (Self, mpsc::Receiver<Registration>) {
        let (sender, receiver) = mpsc::channel(REGISTRATIONS_MAX);
        (Self(sender), receiver)
    }

    /// Registers a change. Does nothing once the server has stopped receiving.
    pub async fn register(&self, registration: Registration) {
        let _ = self.0.send(registration).await;
    }

    /// Joins a channel. From then on no message behind the channel's counter passes the client by; the
    /// counter is returned if it was read anyway. Fails if it could not be read.
    pub async fn join(
        &self,
        channel: ChannelName,
        client: Client,
        timing: bool,
    ) -> Result<Option<u64>, NotJoined> {
        let (joined, confirmation) = oneshot::channel();
        self.register(Registration::Join { channel, client, timing, joined }).await;
        confirmation.await.map_err(|_| NotJoined)
    }

    /// Lets a subscription begin. See [`Registration::Begin`].
    pub async fn begin(&self, channel: ChannelName, session: Uuid, last_seq: u64, frames: Vec<Utf8Bytes>) {
        let (begun, confirmation) = oneshot::channel();
        self.register(Registration::Begin { channel, session, last_seq, frames, begun }).await;
        let _ = confirmation.await;
    }
}

/// The channel has no position on this server: its counter could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the channel's counter could not be read")]
pub struct NotJoined;

/// The subscriptions of all clients of this server.
pub struct Fanout {
    channels: HashMap<ChannelName, Vec<Subscription>>,
    waiting: Waiting,
}

struct Subscription {
    client: Client,
    timing: bool,
    state: State,
}

enum State {
    /// History is being read: messages wait, as numbers and frames.
    Joining(Vec<(u64, Frame)>),
    /// Messages from this number on are the client's.
    Live(u64),
}

impl Fanout {
    /// No one is subscribed yet. What goes out counts as `waiting`.
    pub fn new(waiting: Waiting) -> Self {
        Self { channels: HashMap::new(), waiting }
    }

    /// Adds a subscription, whose messages are held back until it begins.
    pub fn join(&mut self, channel: &ChannelName, client: Client, timing: bool) {
        let subscriptions = self.channels.entry(channel.clone()).or_default();
        subscriptions.push(Subscription { client, timing, state: State::Joining(Vec::new()) });
        metrics().subscriptions.increment(1.0);
    }

    /// Lets a joining subscription begin. See [`Registration::Begin`].
    pub fn begin(&mut self, channel: &ChannelName, session: Uuid, last_seq: u64, frames: Vec<Utf8Bytes>) {
        let mut subscriptions = self.channels.get_mut(channel).into_iter().flatten();
        let Some(subscription) = subscriptions.find(|each| each.client.session == session) else {
            return;
        };
        let next = last_seq + 1;
        let State::Joining(held) = std::mem::replace(&mut subscription.state, State::Live(next)) else {
            return;
        };
        for text in frames {
            subscription.client.send(text);
        }
        for (_, frame) in held.into_iter().filter(|(seq, _)| *seq >= next) {
            subscription.client.push(Outgoing::Frame(frame));
        }
    }

    /// Ends a subscription, and returns whether it was the channel's last.
    pub fn leave(&mut self, channel: &ChannelName, session: Uuid, farewell: Option<Utf8Bytes>) -> bool {
        let Some(subscriptions) = self.channels.get_mut(channel) else {
            return false;
        };
        let Some(place) = subscriptions.iter().position(|each| each.client.session == session) else {
            return false;
        };
        let subscription = subscriptions.swap_remove(place);
        metrics().subscriptions.decrement(1.0);
        if let Some(text) = farewell {
            subscription.client.send(text);
        }
        let last = subscriptions.is_empty();
        if last {
            self.channels.remove(channel);
        }
        last
    }

    /// Hands a message to its recipients' queues. `receive` ends here, `send` starts.
    pub fn deliver(&mut self, mut delivery: Delivery) {
        let handed_us = clock::now_us();
        let seq = delivery.message.seq;
        metrics().hops.record(Hop::Receive, handed_us.saturating_sub(delivery.received_us));
        delivery.record_receive(handed_us);
        let Some(subscriptions) = self.channels.get_mut(&delivery.message.channel) else {
            return;
        };
        let recipients = subscriptions.iter().filter(|each| each.gets(seq)).count();
        let send = delivery.open_send(handed_us, recipients);
        let mut tickets = tickets(handed_us, recipients, send);
        let mut frames = Frames::new(delivery, handed_us, &self.waiting);
        for Subscription { client, timing, state } in subscriptions {
            match state {
                State::Live(next) if *next <= seq => {
                    let Some(ticket) = tickets.next() else {
                        continue;
                    };
                    client.push(Outgoing::Timed(frames.of(*timing), ticket));
                }
                State::Live(_) => {}
                State::Joining(held) if held.len() < HELD_MAX => held.push((seq, frames.of(*timing))),
                State::Joining(_) => {
                    metrics().dropped.of(DropReason::SlowClient).increment(1);
                    client.cut_off(CloseCode::SlowClient);
                }
            }
        }
        metrics().deliveries.increment(recipients as u64);
    }
}

impl Subscription {
    fn gets(&self, seq: u64) -> bool {
        matches!(self.state, State::Live(next) if next <= seq)
    }
}
