//! A publishing connection: on a schedule, or as fast as answers come.

use std::{net::SocketAddr, sync::Arc};

use futures_util::FutureExt;
use hopline::protocol::ClientFrame;
use serde::de::IgnoredAny;
use tokio::sync::{mpsc, oneshot};

use super::{Shared, wire::Incoming};
use crate::{
    audit::{Answer, Record, index_of},
    client::{ClientError, Closed, Receiver, Sender},
    clock::Clock,
    identity::id_tail,
    pacer::Job,
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
}

impl Published {
    /// Of a publisher that couldn't connect.
    pub(super) fn nothing(messages: usize, error: &anyhow::Error) -> Self {
        let closed = Some(Closed { code: None, reason: format!("it couldn't connect: {error:#}") });
        Self { records: vec![Record::UNSENT; messages], closed, complaints: Vec::new() }
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
    sender: Sender,
    receiver: Receiver,
    outstanding_max: usize,
    number: usize,
    publishers: usize,
    published: Published,
}

impl Publisher {
    pub(crate) async fn connect(
        shared: Arc<Shared>,
        addr: SocketAddr,
        number: usize,
        publishers: usize,
        messages: usize,
    ) -> anyhow::Result<Self> {
        let client = shared.writer(addr, &format!("load-publisher-{number}")).await?;
        let outstanding_max = client.hello().limits.outstanding_max;
        let (sender, receiver) = client.split();
        Ok(Self {
            sender,
            receiver,
            outstanding_max,
            number,
            publishers,
            published: Published {
                records: vec![Record::UNSENT; messages],
                closed: None,
                complaints: Vec::new(),
            },
        })
    }

    /// Sends every job when it comes, whatever is still unanswered, until told to stop.
    pub(crate) async fn follow_plan(
        mut self,
        shared: &Shared,
        clock: Clock,
        mut jobs: mpsc::Receiver<Job>,
        mut stop: oneshot::Receiver<()>,
    ) -> Published {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut planned = true;
        loop {
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
                _ = &mut stop => return self.published,
            };
            if let Err(error) = result {
                return self.ended_by(error, shared);
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

    async fn send(&mut self, jobs: &mut Vec<Job>, shared: &Shared, clock: Clock) -> Result<(), ClientError> {
        for job in jobs.drain(..) {
            let frame = ClientFrame::Publish {
                channel: shared.channels[job.channel as usize].clone(),
                client_message_id: shared.identity.client_message_id(job.index),
                body: shared.identity.body(job.index),
                traceparent: shared.traceparent(job.index),
            };
            let sent_us = clock.now_us();
            self.published.records[job.index as usize / self.publishers] = Record {
                channel: job.channel,
                intended_us: job.intended_us,
                sent_us,
                answered_us: 0,
                answer: Answer::Missing,
            };
            shared.sent(job.index, sent_us);
            self.sender.feed(&frame).await?;
        }
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
        record.answered_us = answered_us;
        record.answer = answer;
        match answer {
            Answer::Acknowledged { seq, .. } => {
                shared.acknowledged(index, answered_us, (record.channel as usize, seq));
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
        self.published.closed = Some(match error {
            ClientError::Closed(closed) => closed,
            other => Closed { code: None, reason: other.to_string() },
        });
        self.published
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
