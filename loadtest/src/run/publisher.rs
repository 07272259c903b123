//! A publishing connection: on a schedule, or as fast as answers come.

use std::{future::pending, net::SocketAddr, sync::Arc};

use futures_util::FutureExt;
use hopline::protocol::ClientFrame;
use serde::de::IgnoredAny;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Shared,
    guide::{Guide, Told, told},
    retries::Retries,
    survival::{Loss, Refusal, Trouble},
    wire::Incoming,
};
use crate::{
    audit::{Answer, Record, index_of},
    client::{ClientError, Closed, Receiver, Sender},
    clock::Clock,
    identity::id_tail,
    pacer::Job,
    plan::Layout,
};

/// Jobs that are written to the socket together when several are due.
const BATCH_MAX: usize = 64;
/// Refusals that answer no message of ours; their first texts are kept.
const COMPLAINTS_MAX: usize = 3;

/// What a publisher brings home.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) records: Vec<Record>,
    /// How the connection ended, if it did before it was meant to.
    pub(crate) closed: Option<Closed>,
    /// What the server said that no message of ours accounts for.
    pub(crate) complaints: Vec<String>,
    /// What it outlasted.
    pub(crate) trouble: Trouble,
}

impl Published {
    /// Of a publisher that couldn't connect.
    pub(super) fn nothing(messages: usize, error: &anyhow::Error) -> Self {
        let closed = Some(Closed { code: None, reason: format!("it couldn't connect: {error:#}") });
        Self { closed, ..Self::new(messages) }
    }

    fn new(messages: usize) -> Self {
        Self {
            records: vec![Record::UNSENT; messages],
            closed: None,
            complaints: Vec::new(),
            trouble: Trouble::default(),
        }
    }

    /// What went wrong with the connection.
    pub(super) fn flaws(&self, number: usize) -> Vec<String> {
        let complaints = self
            .complaints
            .iter()
            .map(|complaint| format!("publisher {number} was told something unexpected: {complaint}"));
        let closed =
            self.closed.iter().map(|closed| format!("publisher {number}'s connection ended early: {closed}"));
        closed.chain(complaints).collect()
    }
}

/// A connected publisher.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    outstanding_max: usize,
    pub(super) number: usize,
    pub(super) publishers: usize,
    pub(super) published: Published,
    pub(super) retries: Retries,
}

/// Why a publisher's connection is not used any more.
enum End {
    Stopped,
    Lost(ClientError),
    /// It was told to reconnect.
    Leaves,
}

impl Publisher {
    pub(crate) async fn connect(
        shared: Arc<Shared>,
        addr: SocketAddr,
        number: usize,
        publishers: usize,
        messages: usize,
    ) -> anyhow::Result<Self> {
        let client = shared.writer(addr, &name(number)).await?;
        let outstanding_max = client.hello().limits.outstanding_max;
        let (sender, receiver) = client.split();
        Ok(Self {
            sender,
            receiver,
            outstanding_max,
            number,
            publishers,
            published: Published::new(messages),
            retries: Retries::new(),
        })
    }

    /// Sends every job when it comes, whatever is still unanswered, until told to stop. Outlasts the loss of its connection
    /// if the run's clients are to.
    pub(crate) async fn follow_plan(
        mut self,
        shared: &Shared,
        clock: Clock,
        mut jobs: mpsc::Receiver<Job>,
        mut stop: oneshot::Receiver<()>,
    ) -> Published {
        let servers = shared.servers.len();
        let home = Layout::publishers_server(self.number, servers);
        let mut guide = Guide::of(shared.survival.as_deref(), home, servers);
        loop {
            let leaves = async { while told(&mut guide).await != Told::Reconnect {} };
            let end = self.talk(shared, clock, &mut jobs, leaves, &mut stop).await;
            let Some(guide) = &mut guide else {
                return if let End::Lost(error) = end {
                    self.ended_by(error, shared)
                } else {
                    self.published
                };
            };
            let loss = match end {
                End::Stopped => break,
                End::Leaves => Loss::ordered(clock.now_us()),
                End::Lost(error) => {
                    guide.move_on();
                    Loss::by(&closed_by(error), clock.now_us())
                }
            };
            self.published.trouble.losses.push(loss);
            tokio::select! {
                () = self.come_back(shared, guide) => {}
                _ = &mut stop => break,
            }
        }
        self.published.trouble.sent_again = self.retries.sent_again();
        self.published
    }

    /// Uses one connection, as long as it stands.
    async fn talk(
        &mut self,
        shared: &Shared,
        clock: Clock,
        jobs: &mut mpsc::Receiver<Job>,
        leaves: impl Future<Output = ()>,
        stop: &mut oneshot::Receiver<()>,
    ) -> End {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut planned = true;
        tokio::pin!(leaves);
        loop {
            let next_at = self.retries.next_at();
            let result = tokio::select! {
                biased;
                count = jobs.recv_many(&mut batch, BATCH_MAX), if planned => {
                    planned = count > 0;
                    self.send(&mut batch, shared, clock).await
                }
                text = self.receiver.next_text() => {
                    text.map(|text| {
                        self.enter(&text, shared, clock);
                    })
                }
                () = reached(next_at) => self.send_again(shared).await,
                () = &mut leaves => return End::Leaves,
                _ = &mut *stop => return End::Stopped,
            };
            if let Err(error) = result {
                return End::Lost(error);
            }
        }
    }

    /// Keeps `outstanding` messages unanswered until `until_us`, then waits for the answers until told to stop.
    pub(crate) async fn hammer(
        mut self,
        shared: &Shared,
        clock: Clock,
        outstanding: usize,
        until_us: u32,
        mut channels: impl FnMut() -> u16,
        mut stop: oneshot::Receiver<()>,
    ) -> Published {
        let outstanding_max = outstanding.min(self.outstanding_max);
        let mut answered = 0;
        let mut batch = Vec::with_capacity(outstanding_max);
        loop {
            let now_us = clock.now_us();
            while now_us < until_us && self.published.records.len() - answered < outstanding_max {
                let number = self.published.records.len();
                let index = index_of(self.number, number, self.publishers);
                let channel = channels();
                batch.push(Job { index, channel, intended_us: now_us });
                self.published.records.push(Record::UNSENT);
            }
            if let Err(error) = self.send(&mut batch, shared, clock).await {
                return self.ended_by(error, shared);
            }
            let mut text = tokio::select! {
                biased;
                text = self.receiver.next_text() => Some(text),
                _ = &mut stop => return self.published,
            };
            // Everything that has arrived already, so that the next messages leave together.
            while let Some(arrived) = text {
                match arrived {
                    Ok(text) => answered += usize::from(self.enter(&text, shared, clock)),
                    Err(error) => return self.ended_by(error, shared),
                }
                text = self.receiver.next_text().now_or_never();
            }
        }
    }

    /// If the connection breaks meanwhile, all of these are unanswered.
    async fn send(&mut self, jobs: &mut Vec<Job>, shared: &Shared, clock: Clock) -> Result<(), ClientError> {
        let mut fed = Ok(());
        for job in jobs.drain(..) {
            let frame = frame(shared, job.index, job.channel);
            let sent_us = clock.now_us();
            self.published.records[job.index as usize / self.publishers] = Record {
                channel: job.channel,
                intended_us: job.intended_us,
                sent_us,
                answered_us: 0,
                answer: Answer::Missing,
                tries: 1,
            };
            self.retries.sent();
            shared.sent(job.index, sent_us);
            if fed.is_ok() {
                fed = self.sender.feed(&frame).await;
            }
        }
        fed?;
        self.sender.flush().await
    }

    /// Enters an answer; returns whether it was one to a message of ours.
    fn enter(&mut self, text: &str, shared: &Shared, clock: Clock) -> bool {
        let answered_us = clock.now_us();
        let Some((index, answer)) = answer(text, shared) else {
            self.complain(text);
            return false;
        };
        let mine = index as usize % self.publishers == self.number;
        let record = self.published.records.get_mut(index as usize / self.publishers);
        let Some(record) = record.filter(|record| mine && record.answer == Answer::Missing) else {
            self.complain(text);
            return false;
        };
        let after_us = (record.tries == 1).then(|| answered_us.saturating_sub(record.sent_us));
        record.answered_us = answered_us;
        record.answer = answer;
        match (answer, &shared.survival) {
            (Answer::Acknowledged { seq, .. }, _) => {
                self.retries.answered();
                shared.acknowledged(index, answered_us, (record.channel as usize, seq));
            }
            (Answer::Refused(code), Some(survival)) if code.is_retryable() => {
                self.published.trouble.refusals.push(Refusal { at_us: answered_us, after_us, code });
                if survival.sends_again {
                    self.retries.refused(index as usize / self.publishers);
                } else {
                    shared.refused();
                }
            }
            _ => shared.refused(),
        }
        true
    }

    fn complain(&mut self, text: &str) {
        if self.published.complaints.len() < COMPLAINTS_MAX {
            self.published.complaints.push(text.to_owned());
        }
    }

    fn ended_by(mut self, error: ClientError, shared: &Shared) -> Published {
        let is_missing = |record: &&Record| record.answer == Answer::Missing;
        let missing = self.published.records.iter().filter(is_missing).count();
        shared.publisher_gone(missing as u64);
        self.published.closed = Some(closed_by(error));
        self.published
    }
}

pub(super) fn name(number: usize) -> String {
    format!("load-publisher-{number}")
}

fn closed_by(error: ClientError) -> Closed {
    match error {
        ClientError::Closed(closed) => closed,
        other => Closed { code: None, reason: other.to_string() },
    }
}

/// What a message is sent as, each time.
pub(super) fn frame(shared: &Shared, index: u32, channel: u16) -> ClientFrame {
    ClientFrame::Publish {
        channel: shared.channels[usize::from(channel)].clone(),
        client_message_id: shared.identity.client_message_id(index),
        body: shared.identity.body(index),
        traceparent: shared.traceparent(index),
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Which message an answer speaks of, and what it says.
fn answer(text: &str, shared: &Shared) -> Option<(u32, Answer)> {
    let frame: Incoming<'_, IgnoredAny> = serde_json::from_str(text).ok()?;
    let index = shared.identity.index_of(frame.client_message_id?)?;
    let answer = match &*frame.kind {
        "ack" => Answer::Acknowledged { seq: frame.seq?, id_tail: id_tail(frame.id?) },
        "error" => Answer::Refused(frame.code?),
        _ => return None,
    };
    Some((index, answer))
}
