//! What a subscriber brings home, and how frames are entered in it.

use std::borrow::Cow;

use hopline::{
    hop::Hop,
    protocol::{CloseCode, Timing},
};
use serde::Deserialize;

use super::{
    Shared,
    observer::{Manner, Told, is_counted},
    sample::{HopSample, Visit},
    subscriber::Seat,
    survival::Loss,
    wire::{Incoming, PageMessage},
};
use crate::{
    audit::{Kind, Ledger, Received},
    client::Closed,
    clock::Clock,
    identity::id_tail,
    latency::Measure,
};

/// What a subscriber brings home.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(super) seat: Seat,
    pub(crate) ledger: Ledger,
    pub(crate) samples: Vec<HopSample>,
    /// How long each return took.
    pub(crate) visits: Vec<Visit>,
    /// A recovery that isn't over: when it began, and the number that ends it.
    pub(super) recovering: Option<(u32, u64)>,
    /// What couldn't be recovered.
    pub(super) unrecovered: bool,
    /// Whether whoever watches has been told that something was wrong.
    pub(super) known_flawed: bool,
    /// Connections that it outlasted.
    pub(super) losses: Vec<Loss>,
}

/// What a message said, as far as it isn't in the ledger.
#[derive(Debug)]
pub(super) struct Entered<'a, T> {
    pub(super) index: u32,
    seq: u64,
    traceparent: Cow<'a, str>,
    pub(super) timing: Option<T>,
    pub(super) manner: Manner,
}

impl Delivered {
    pub(super) fn new(seat: Seat, ledger: Ledger) -> Self {
        Self {
            seat,
            ledger,
            samples: Vec::new(),
            visits: Vec::new(),
            recovering: None,
            unrecovered: false,
            known_flawed: false,
            losses: Vec::new(),
        }
    }

    /// Of a subscriber that couldn't connect.
    pub(super) fn nothing(seat: Seat, error: &anyhow::Error) -> Self {
        let mut ledger = Ledger::new(seat.number, seat.channel, 0, 0);
        ledger.closed = Some(Closed { code: None, reason: format!("it couldn't connect: {error:#}") });
        Self::new(seat, ledger)
    }

    /// What went wrong with the connection.
    pub(super) fn flaw(&self) -> Option<String> {
        let number = self.ledger.subscriber;
        let Some(closed) = &self.ledger.closed else {
            return self.unrecovered.then(|| {
                format!(
                    "subscriber {number} was away for more messages than a server recovers, so that some were \
                     neither delivered nor lost. Lower the rate, or raise the server's --recovered-max"
                )
            });
        };
        let advice = if closed.code == Some(CloseCode::SlowClient.number()) {
            ". It didn't keep up: lower --rate or --outstanding, or have fewer subscribers"
        } else {
            ""
        };
        Some(format!("subscriber {number}'s connection ended early: {closed}{advice}"))
    }

    pub(super) fn ended_by(mut self, closed: Closed, shared: &Shared) -> Self {
        shared.subscriber_gone(self.ledger.subscriber);
        self.ledger.closed = Some(closed);
        self
    }

    /// Enters a frame in the ledger; returns what it said if it was a message of this run.
    pub(super) fn enter<'a, T: Deserialize<'a>>(
        &mut self,
        text: &'a str,
        at_us: u32,
        shared: &Shared,
    ) -> Option<Entered<'a, T>> {
        let Ok(frame) = serde_json::from_str::<Incoming<'a, T>>(text) else {
            self.ledger.note(Kind::Corrupted, 0);
            return None;
        };
        if frame.kind != "message" {
            return None;
        }
        let seq = frame.seq.unwrap_or_default();
        let index = frame.client_message_id.and_then(|id| shared.identity.index_of(id));
        let (Some(index), Some(id)) = (index, frame.id) else {
            self.ledger.note(Kind::Corrupted, seq);
            return None;
        };
        let is_whole = frame.channel == shared.channels[self.ledger.channel].as_str()
            && shared.identity.is_body(index, &frame.body);
        if !is_whole {
            self.ledger.note(Kind::Corrupted, seq);
        }
        self.ledger.record(seq, Received { index, at_us, id_tail: id_tail(id) });
        let manner = Manner {
            is_counted: is_counted(self.seat.habit.as_ref()),
            is_live: !self.ledger.is_recovered(seq),
        };
        if manner.is_live {
            shared.happened(Measure::Hop(Hop::Total), index, at_us);
        }
        Some(Entered { index, seq, traceparent: frame.traceparent, timing: frame.timing, manner })
    }
}

impl Delivered {
    /// Enters a message that was missed and read from history.
    pub(super) fn enter_page(&mut self, message: &PageMessage<'_>, at_us: u32, shared: &Shared) {
        let index = shared.identity.index_of(message.client_message_id);
        match index.filter(|index| shared.identity.is_body(*index, &message.body)) {
            Some(index) => {
                self.ledger.record(message.seq, Received { index, at_us, id_tail: id_tail(message.id) });
            }
            None => self.ledger.note(Kind::Corrupted, message.seq),
        }
    }
}

impl<T> Entered<'_, T> {
    pub(super) fn observe(&self, shared: &Shared, at_us: u32, clock: Clock) {
        if let Some(observer) = &shared.observer {
            observer.delivered((self.index, self.seq), at_us, clock, self.manner);
        }
    }
}

impl Entered<'_, Timing> {
    pub(super) fn tell(&self, shared: &Shared, node: &str, at_us: u32, clock: Clock) {
        let Some(observer) = &shared.observer else {
            return;
        };
        let told = Told {
            index: self.index,
            traceparent: &self.traceparent,
            timing: self.timing.filter(|_| self.manner.is_live),
            node,
            at_us,
            decoded_us: clock.now_us(),
        };
        observer.told(&told, clock);
        observer.delivered((self.index, self.seq), at_us, clock, self.manner);
    }
}
