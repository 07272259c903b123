//! A subscribing connection, and what becomes of it when its owner comes and goes.

use std::{future::pending, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use hopline::protocol::{ServerFrame, Timing};
use serde::de::IgnoredAny;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Shared,
    delivered::Delivered,
    guide::{Guide, Told, told},
    sample::{HopSample, Visit},
};
use crate::{
    audit::{Kind, Ledger},
    client::{Client, ClientError, Closed},
    clock::Clock,
    plan::Habit,
};

/// A subscriber's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) number: usize,
    pub(crate) channel: usize,
    pub(crate) server: usize,
    pub(crate) addr: SocketAddr,
    /// Timing is serialised once a server, so that one subscriber of each server and channel notes it:
    /// one figure a message and server.
    pub(crate) notes_timing: bool,
    pub(crate) habit: Option<Habit>,
}

/// Why a stay has ended.
pub(super) enum End {
    Stopped,
    Leaves,
    Closed(Closed),
}

/// A connection that is subscribed to its channel.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(super) client: Client,
    pub(super) delivered: Delivered,
}

impl Subscriber {
    /// Connects, subscribes and waits for the answer.
    pub(crate) async fn connect(seat: Seat, shared: &Shared, length_max: usize) -> anyhow::Result<Self> {
        let (client, last_seq, _) = subscribe(&seat, shared, None).await?;
        let ledger = Ledger::new(seat.number, seat.channel, last_seq, length_max);
        Ok(Self { client, delivered: Delivered::new(seat, ledger) })
    }

    /// Receives until told to stop, or until the connection ends; comes and goes until `until`, by the run's clock.
    pub(crate) async fn listen(
        self,
        shared: &Shared,
        clock: Clock,
        until: Duration,
        mut stop: oneshot::Receiver<()>,
    ) -> Delivered {
        if let Some(guide) =
            Guide::of(shared.survival.as_deref(), self.delivered.seat.server, shared.servers.len())
        {
            return self.outlast(guide, shared, clock, stop).await;
        }
        let Self { mut client, mut delivered } = self;
        let mut leaves = delivered.seat.habit.map(|habit| habit.first);
        loop {
            let leaves_at = leaves.filter(|at| *at < until).map(|at| Instant::from_std(clock.moment(at)));
            match delivered.stay(client, leaves_at, &mut None, shared, clock, &mut stop).await {
                End::Stopped => return delivered,
                End::Closed(closed) => return delivered.ended_by(closed, shared),
                End::Leaves => {}
            }
            let Some(habit) = delivered.seat.habit else {
                return delivered;
            };
            delivered.leave(habit, shared);
            tokio::select! {
                () = sleep(habit.away) => {}
                _ = &mut stop => return delivered,
            }
            client = match delivered.come_back(habit, shared, clock).await {
                Ok(client) => client,
                Err(error) => {
                    let reason = format!("it couldn't come back: {error:#}");
                    return delivered.ended_by(Closed { code: None, reason }, shared);
                }
            };
            leaves = Some(Duration::from_micros(clock.now_us().into()) + habit.stay);
        }
    }
}

impl Delivered {
    /// Receives until the stay ends.
    pub(super) async fn stay(
        &mut self,
        client: Client,
        leaves_at: Option<Instant>,
        guide: &mut Option<Guide>,
        shared: &Shared,
        clock: Clock,
        stop: &mut oneshot::Receiver<()>,
    ) -> End {
        let node = client.hello().node.clone();
        let (_sender, mut receiver) = client.split();
        let leaves = async {
            match leaves_at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::pin!(leaves);
        loop {
            let text = tokio::select! {
                biased;
                text = receiver.next_text() => text,
                _ = &mut *stop => return End::Stopped,
                () = &mut leaves => return End::Leaves,
                told = told(guide) => match told {
                    Told::Reconnect => return End::Leaves,
                    Told::StopReading if self.is_stopped_in_pause(guide, stop).await => return End::Stopped,
                    Told::StopReading => continue,
                },
            };
            let at_us = clock.now_us();
            match text {
                Ok(text) if self.seat.notes_timing => {
                    if let Some(entered) = self.enter::<Timing>(&text, at_us, shared) {
                        entered.tell(shared, &node, at_us, clock);
                        let sample =
                            |timing| HopSample::of(entered.index, self.seat.server, timing, at_us, clock);
                        let timing = entered.timing.filter(|_| entered.manner.is_live);
                        self.samples.extend(timing.and_then(sample));
                    }
                }
                Ok(text) => {
                    if let Some(entered) = self.enter::<IgnoredAny>(&text, at_us, shared) {
                        entered.observe(shared, at_us, clock);
                    }
                }
                Err(ClientError::Closed(closed)) => return End::Closed(closed),
                Err(_) => self.ledger.note(Kind::Corrupted, 0),
            }
            self.is_recovered(at_us);
            if !self.ledger.is_flawless() {
                self.is_flawed(shared);
            }
            shared.tally.delivered(self.ledger.subscriber, self.ledger.position());
        }
    }

    fn is_flawed(&mut self, shared: &Shared) {
        if !std::mem::replace(&mut self.known_flawed, true) {
            shared.flawed();
        }
    }

    fn leave(&mut self, habit: Habit, shared: &Shared) {
        if !habit.recovers {
            self.ledger.leave();
        }
        shared.subscriber_away(self.ledger.subscriber, habit.recovers);
    }

    async fn come_back(&mut self, habit: Habit, shared: &Shared, clock: Clock) -> anyhow::Result<Client> {
        let began_us = clock.now_us();
        let after_seq = habit.recovers.then(|| self.ledger.position());
        let (client, last_seq, recovered) = subscribe(&self.seat, shared, after_seq).await?;
        let now_us = clock.now_us();
        if habit.recovers && recovered {
            self.ledger.recover(last_seq);
            self.recovering = Some((began_us, last_seq));
            self.is_recovered(now_us);
        } else {
            self.unrecovered |= habit.recovers;
            self.ledger.leave();
            self.ledger.join(last_seq);
            self.visits.push(Visit::Join { at_us: began_us, us: now_us - began_us });
        }
        shared.subscriber_back(self.ledger.subscriber, self.ledger.position());
        Ok(client)
    }

    /// Notes the end of a recovery.
    pub(super) fn is_recovered(&mut self, at_us: u32) {
        if let Some((began_us, last_seq)) = self.recovering
            && self.ledger.position() >= last_seq
        {
            self.visits.push(Visit::Recovery { at_us: began_us, us: at_us - began_us });
            self.recovering = None;
        }
    }
}

/// Connects and subscribes; returns the channel's last number, and whether what comes up to it follows.
pub(super) async fn subscribe(
    seat: &Seat,
    shared: &Shared,
    after_seq: Option<u64>,
) -> anyhow::Result<(Client, u64, bool)> {
    let mut client = shared.reader(seat.addr, "load-subscriber").await?;
    client.subscribe(&shared.channels[seat.channel], after_seq, true).await?;
    match client.next_frame().await.context("no answer to a subscription")? {
        ServerFrame::Subscribed { last_seq, recovered, .. } => Ok((client, last_seq, recovered)),
        other => bail!("a subscription was answered by {other:?}"),
    }
}
