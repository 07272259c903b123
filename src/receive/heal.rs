//! Healing: what `receive` reads from PostgreSQL, and what it makes of the answers.

use std::{collections::HashMap, time::Duration};

use tokio::sync::oneshot;
use tracing::Instrument;

use super::{Receive, order::Missing};
use crate::{
    clock, fault,
    history::{History, HistoryError, Range},
    hop::Origin,
    protocol::{ChannelName, Message},
    send::Delivery,
    telemetry::{
        labels::{CheckTrigger, GapCause},
        metrics::metrics,
        trace,
    },
};

/// Channels that one read heals, and messages of each. After a failure it is half as many of both, down to one: messages may
/// be too long, or the database too slow, for all of them to come in time, and one row that can't be read must not keep the
/// other channels from healing.
pub(super) const HEALED_MAX: usize = 64;
/// How long to wait after a read for healing that failed.
const HEAL_PAUSE: Duration = Duration::from_millis(100);

/// What a read brought.
pub(super) enum Read {
    Missing(Vec<Missing>, Result<Stored, HistoryError>),
    Positions(Result<Vec<(ChannelName, u64)>, HistoryError>),
    Baseline(ChannelName, Result<u64, HistoryError>),
}

/// What PostgreSQL holds of the channels in which messages are missing.
pub(super) struct Stored {
    /// The channels' counters, read before the messages.
    last_seqs: HashMap<ChannelName, u64>,
    messages: Vec<Message>,
    /// Messages of each channel that were asked for.
    messages_max: usize,
}

async fn read_missing(
    history: &dyn History,
    missing: &[Missing],
    messages_max: usize,
) -> Result<Stored, HistoryError> {
    let channels: Vec<ChannelName> = missing.iter().map(|gap| gap.channel.clone()).collect();
    let last_seqs = history.positions(&channels).await?.into_iter().collect();
    let ranges = missing.iter().map(|gap| Range { channel: &gap.channel, after: gap.after, upto: gap.upto });
    let ranges: Vec<Range<'_>> = ranges.collect();
    let messages = history.pages(&ranges, messages_max).await?;
    Ok(Stored { last_seqs, messages, messages_max })
}

impl Receive {
    /// Reads what is missing and overdue.
    pub(super) fn heal(&mut self) {
        if self.healing || fault::heals_nothing() {
            return;
        }
        let missing = self.order.due(self.now(), self.healed_max);
        if missing.is_empty() {
            return;
        }
        for gap in &missing {
            metrics().gaps.of(gap.cause).increment(1);
            if gap.cause == GapCause::Position {
                self.checks.found_missing();
            }
        }
        self.healing = true;
        let (history, healed_max) = (self.history.clone(), self.healed_max);
        let span = tracing::info_span!(
            "heal",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            hopline.channels = missing.len()
        );
        let read = async move {
            let stored = read_missing(&*history, &missing, healed_max).await;
            if let Err(error) = &stored {
                tracing::Span::current().record("otel.status_code", "error");
                tracing::warn!(%error, channels = missing.len(), "could not heal; trying again");
            }
            Read::Missing(missing, stored)
        };
        self.reads.spawn(read.instrument(span));
    }

    /// Compares all positions with the channels' counters; if that is being done, once more afterwards.
    pub(super) fn check(&mut self, trigger: CheckTrigger) {
        if self.checks.call(trigger) {
            let channels: Vec<ChannelName> = self.order.watched().cloned().collect();
            let history = self.history.clone();
            self.reads.spawn(async move { Read::Positions(history.positions(&channels).await) });
        }
    }

    pub(super) fn on_read(&mut self, read: Read) {
        match read {
            Read::Missing(missing, stored) => {
                self.healing = false;
                match stored {
                    Ok(stored) => self.on_healed(missing, stored),
                    Err(_) => self.on_heal_failed(&missing),
                }
            }
            Read::Baseline(channel, last_seq) => self.on_baseline(&channel, last_seq),
            Read::Positions(positions) => {
                if let Some(trigger) = self.checks.done(positions.is_ok()) {
                    self.check(trigger);
                }
                self.on_positions(positions);
            }
        }
        self.heal();
    }

    fn on_positions(&mut self, positions: Result<Vec<(ChannelName, u64)>, HistoryError>) {
        let due = self.now() + self.checks.patience();
        match positions {
            Ok(positions) => {
                for (channel, last_seq) in positions {
                    self.order.compare(due, &channel, last_seq);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "could not compare positions; trying again");
                metrics().heal_failures.increment(1);
            }
        }
    }

    fn on_healed(&mut self, missing: Vec<Missing>, stored: Stored) {
        let Stored { last_seqs, messages, messages_max } = stored;
        self.healed_max = (self.healed_max * 2).min(HEALED_MAX);
        let received_us = clock::now_us();
        metrics().healed.increment(messages.len() as u64);
        let mut stored: HashMap<ChannelName, Vec<(u64, Delivery)>> = HashMap::new();
        for message in messages {
            let (channel, seq) = (message.channel.clone(), message.seq);
            let trace = trace::Incoming::read_if_traced(message.traceparent.as_deref()).sampled();
            let delivery = Delivery { message, origin: Origin::Healed, stamps: None, received_us, trace };
            stored.entry(channel).or_default().push((seq, delivery));
        }
        let now = self.now();
        for gap in missing {
            let stored = stored.remove(&gap.channel).unwrap_or_default();
            let last_seq = last_seqs.get(&gap.channel).copied().unwrap_or(0);
            // A full page says nothing about what comes after its last message.
            let complete_upto = match stored.iter().map(|(seq, _)| *seq).max() {
                Some(last) if stored.len() == messages_max => last,
                // A number above the counter is no one's yet, whatever the broker brought.
                _ => gap.upto.min(last_seq),
            };
            self.order.refute(&gap.channel, last_seq, gap.upto);
            let skipped = self.order.healed(now, &gap.channel, complete_upto, stored, &mut self.deliver);
            metrics().skipped.increment(skipped);
        }
        self.deliver();
    }

    fn on_heal_failed(&mut self, missing: &[Missing]) {
        metrics().heal_failures.increment(1);
        self.healed_max = (self.healed_max / 2).max(1);
        let now = self.now();
        for gap in missing {
            self.order.heal_failed(now, &gap.channel, HEAL_PAUSE);
        }
    }

    /// A channel starts behind its counter. Clients read the counter for themselves only after that: were
    /// the channel to start at what one of them read, another one that had read less would miss messages.
    pub(super) fn read_baseline(&mut self, channel: ChannelName, joined: oneshot::Sender<Option<u64>>) {
        let waiting = self.joining.entry(channel.clone()).or_default();
        waiting.push(joined);
        if waiting.len() == 1 {
            let (broker, history) = (self.broker.clone(), self.history.clone());
            self.reads.spawn(async move {
                // Whatever the counter doesn't cover has to come in.
                broker.subscribe(&channel).await;
                let last_seq = history.last_seq(&channel).await;
                Read::Baseline(channel, last_seq)
            });
        }
    }

    fn on_baseline(&mut self, channel: &ChannelName, last_seq: Result<u64, HistoryError>) {
        let waiting = self.joining.remove(channel).unwrap_or_default();
        match last_seq {
            Ok(last_seq) => {
                let now = self.now();
                self.order.begin(now, channel, last_seq, &mut self.deliver);
                self.deliver();
                // The first one asked before it was read; to those that came meanwhile it may be old.
                let answers = std::iter::once(Some(last_seq)).chain(std::iter::repeat(None));
                for (joined, answer) in waiting.into_iter().zip(answers) {
                    let _ = joined.send(answer);
                }
            }
            // They are dropped, which tells them.
            Err(error) => tracing::warn!(%error, %channel, "could not read a channel's counter"),
        }
    }
}
