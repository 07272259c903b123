//! What holds for clients that outlast what would end them: they reconnect, send again what was not stored for
//! certain, and recover what they missed.

use hopline::protocol::ErrorCode;
use tokio::sync::{SetOnce, watch};

use crate::{client::Closed, clock::Clock};

/// Of the subscribers, every so many-th stops reading where some are to be slow.
const SLOW_EVERY: usize = 8;

/// How a run's clients outlast the loss of their connection, and the way to tell them what to do meanwhile.
#[derive(Debug)]
pub(crate) struct Survival {
    /// Whether publishers send again what was refused for the time being, or not answered.
    pub(crate) sends_again: bool,
    /// Whether subscribers ask for what they missed.
    pub(crate) recovers: bool,
    orders: watch::Sender<Order>,
    began: SetOnce<Clock>,
}

/// What all clients are told to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing in particular.
    #[default]
    Nothing,
    /// All clients of this server drop their connection and come back to it at once.
    Storm(usize),
    /// Those that are elsewhere return to the server that they began with.
    GoHome,
    /// Some subscribers stop reading until the next order.
    StopReading,
}

/// A connection that ended before its client was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) at_us: u32,
    pub(crate) how: How,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The client dropped it, as it was told to.
    Ordered,
    /// The server closed it with this code.
    Closed(u16),
    /// It broke.
    Broken,
}

/// A publish that was refused for the time being.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) at_us: u32,
    /// How long after it had been sent, if that was the first time.
    pub(crate) after_us: Option<u32>,
    pub(crate) code: ErrorCode,
}

/// What went wrong for the clients, and they outlasted.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) losses: Vec<Loss>,
    pub(crate) refusals: Vec<Refusal>,
    /// Messages that were sent again, each time.
    pub(crate) sent_again: u64,
}

impl Survival {
    pub(crate) fn new(sends_again: bool, recovers: bool) -> Self {
        let (orders, _) = watch::channel(Order::Nothing);
        Self { sends_again, recovers, orders, began: SetOnce::new() }
    }

    /// Gives all clients an order, also the same one again.
    pub(crate) fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Returns the run's clock once all clients are connected.
    pub(crate) async fn began(&self) -> Clock {
        *self.began.wait().await
    }

    pub(super) fn begin(&self, clock: Clock) {
        let _ = self.began.set(clock);
    }

    pub(super) fn orders(&self) -> watch::Receiver<Order> {
        self.orders.subscribe()
    }
}

impl Default for Survival {
    fn default() -> Self {
        Self::new(true, true)
    }
}

impl Loss {
    pub(super) fn ordered(at_us: u32) -> Self {
        Self { at_us, how: How::Ordered }
    }

    pub(super) fn by(closed: &Closed, at_us: u32) -> Self {
        Self { at_us, how: closed.code.map_or(How::Broken, How::Closed) }
    }
}

impl Trouble {
    pub(super) fn add(&mut self, other: Self) {
        self.losses.extend(other.losses);
        self.refusals.extend(other.refusals);
        self.sent_again += other.sent_again;
    }
}

/// Whether a subscriber is one of those that stop reading.
pub(super) fn is_slow(subscriber: usize) -> bool {
    subscriber.is_multiple_of(SLOW_EVERY)
}
