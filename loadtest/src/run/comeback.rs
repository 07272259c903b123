//! How clients outlast the loss of their connection: they come back where they can, send again, and recover.

use std::time::Duration;

use tokio::{sync::oneshot, time::sleep};

use super::{
    Shared,
    delivered::Delivered,
    guide::{Guide, Pauses},
    history::Reader,
    publisher::{Publisher, frame, name},
    subscriber::{End, Subscriber, subscribe},
    survival::{Loss, is_slow},
    wire::PageMessage,
};
use crate::{
    audit::{Answer, Record, index_of},
    client::{Client, ClientError},
    clock::Clock,
};

/// So long a subscriber that doesn't recover stays away: it misses something for certain.
const AWAY: Duration = Duration::from_secs(1);

impl Publisher {
    /// Connects to wherever it can; what was not answered is sent again then.
    pub(super) async fn come_back(&mut self, shared: &Shared, guide: &mut Guide) {
        let is_missing =
            |(number, record): (usize, &Record)| (record.answer == Answer::Missing).then_some(number);
        let missing: Vec<usize> = self.published.records.iter().enumerate().filter_map(is_missing).collect();
        if shared.survival.as_ref().is_some_and(|survival| survival.sends_again) {
            self.retries.lost(missing.into_iter());
        }
        let mut pauses = Pauses::new();
        loop {
            match shared.writer(shared.servers[guide.server()], &name(self.number)).await {
                Ok(client) => {
                    (self.sender, self.receiver) = client.split();
                    return;
                }
                Err(_) => guide.move_on(),
            }
            sleep(pauses.next()).await;
        }
    }

    /// Sends the oldest messages again that wait for it, with the same identity. If the connection breaks meanwhile, all of
    /// these are unanswered.
    pub(super) async fn send_again(&mut self, shared: &Shared) -> Result<(), ClientError> {
        let mut fed = Ok(());
        for number in self.retries.take() {
            let index = index_of(self.number, number, self.publishers);
            let record = &mut self.published.records[number];
            (record.answer, record.tries) = (Answer::Missing, record.tries.saturating_add(1));
            let frame = frame(shared, index, record.channel);
            self.retries.sent();
            if fed.is_ok() {
                fed = self.sender.feed(&frame).await;
            }
        }
        fed?;
        self.sender.flush().await
    }
}

impl Subscriber {
    /// Receives until told to stop; whenever the connection ends, goes on where it can.
    pub(super) async fn outlast(
        self,
        guide: Guide,
        shared: &Shared,
        clock: Clock,
        mut stop: oneshot::Receiver<()>,
    ) -> Delivered {
        let Self { mut client, mut delivered } = self;
        let mut guide = Some(guide);
        loop {
            let end = delivered.stay(client, None, &mut guide, shared, clock, &mut stop).await;
            let at_us = clock.now_us();
            let Some(guide) = &mut guide else { return delivered };
            match end {
                End::Stopped => return delivered,
                End::Leaves => delivered.losses.push(Loss::ordered(at_us)),
                End::Closed(closed) => {
                    delivered.losses.push(Loss::by(&closed, at_us));
                    guide.move_on();
                }
            }
            client = tokio::select! {
                client = delivered.come_back_somewhere(guide, at_us, shared, clock) => client,
                _ = &mut stop => return delivered,
            };
        }
    }
}

impl Delivered {
    /// Reads nothing as long as that is the order, if it is one of those who are to be slow. Returns whether it was told to
    /// stop meanwhile.
    pub(super) async fn is_stopped_in_pause(
        &self,
        guide: &mut Option<Guide>,
        stop: &mut oneshot::Receiver<()>,
    ) -> bool {
        let Some(guide) = guide.as_mut().filter(|_| is_slow(self.ledger.subscriber)) else {
            return false;
        };
        tokio::select! {
            () = guide.may_read() => false,
            _ = stop => true,
        }
    }

    /// Connects to wherever it can, and asks for what it missed since the connection ended at `lost_us`.
    async fn come_back_somewhere(
        &mut self,
        guide: &mut Guide,
        lost_us: u32,
        shared: &Shared,
        clock: Clock,
    ) -> Client {
        let recovers = shared.survival.as_ref().is_none_or(|survival| survival.recovers);
        let channel = &shared.channels[self.seat.channel];
        let mut pauses = Pauses::new();
        if !recovers {
            sleep(AWAY).await;
        }
        loop {
            self.seat.addr = shared.servers[guide.server()];
            match self.subscribe_again(recovers, lost_us, channel, shared, clock).await {
                Ok(client) => return client,
                Err(_) => guide.move_on(),
            }
            sleep(pauses.next()).await;
        }
    }

    async fn subscribe_again(
        &mut self,
        recovers: bool,
        lost_us: u32,
        channel: &str,
        shared: &Shared,
        clock: Clock,
    ) -> anyhow::Result<Client> {
        let after_seq = recovers.then(|| self.ledger.position());
        let (client, last_seq, recovered) = subscribe(&self.seat, shared, after_seq).await?;
        self.recovering = Some((lost_us, last_seq));
        if let Some(position) = after_seq {
            self.ledger.recover(last_seq);
            if !recovered {
                let (addr, missed) = (self.seat.addr, (position, last_seq));
                let enter = |message: &PageMessage<'_>| self.enter_page(message, clock.now_us(), shared);
                Reader::new(shared)?.between(addr, channel, missed, enter).await?;
            }
        }
        self.is_recovered(clock.now_us());
        Ok(client)
    }
}
