//! A subscribing connection.

use std::{borrow::Cow, net::SocketAddr};

use anyhow::{Context as _, bail};
use hopline::{
    hop::Origin,
    protocol::{CloseCode, ServerFrame, Timing},
};
use serde::{Deserialize, de::IgnoredAny};
use tokio::sync::oneshot;

use super::{Shared, observer::Told, wire::Incoming};
use crate::{
    audit::{Kind, Ledger, Received},
    client::{Client, ClientError},
    clock::Clock,
    identity::id_tail,
};

/// How long a message took on its way through the servers, as one of them told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HopSample {
    pub(crate) index: u32,
    pub(crate) origin: Origin,
    /// Accept, persist and broadcast; none for a healed message.
    pub(crate) before_receive_us: Option<(u32, u32, u32)>,
    pub(crate) receive_us: u32,
}

/// What a subscriber brings home.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) ledger: Ledger,
    pub(crate) samples: Vec<HopSample>,
}

/// What a message said, as far as it isn't in the ledger.
#[derive(Debug)]
struct Entered<'a, T> {
    index: u32,
    seq: u64,
    traceparent: Cow<'a, str>,
    timing: Option<T>,
}

/// A connection that is subscribed to its channel.
#[derive(Debug)]
pub(crate) struct Subscriber {
    client: Client,
    /// The server's name.
    node: String,
    ledger: Ledger,
    /// Timing is serialised once a server, so that one subscriber of each server and channel notes it:
    /// one figure a message and server.
    notes_timing: bool,
}

impl Subscriber {
    /// Connects, subscribes and waits for the answer.
    pub(crate) async fn connect(
        addr: SocketAddr,
        channel_name: &str,
        notes_timing: bool,
        ledger: impl FnOnce(u64) -> Ledger,
    ) -> anyhow::Result<Self> {
        let mut client = Client::connect(addr, "load-subscriber").await?;
        client.subscribe(channel_name, None, true).await?;
        match client.next_frame().await.context("no answer to a subscription")? {
            ServerFrame::Subscribed { last_seq, .. } => {
                let node = client.hello().node.clone();
                Ok(Self { client, node, ledger: ledger(last_seq), notes_timing })
            }
            other => bail!("a subscription was answered by {other:?}"),
        }
    }

    /// Receives until told to stop, or until the connection ends.
    pub(crate) async fn listen(
        self,
        shared: &Shared,
        clock: Clock,
        mut stop: oneshot::Receiver<()>,
    ) -> Delivered {
        let Self { client, node, ledger, notes_timing } = self;
        let (_sender, mut receiver) = client.split();
        let mut delivered = Delivered { ledger, samples: Vec::new() };
        loop {
            let text = tokio::select! {
                biased;
                text = receiver.next_text() => text,
                _ = &mut stop => return delivered,
            };
            let at_us = clock.now_us();
            match text {
                Ok(text) if notes_timing => {
                    if let Some(entered) = delivered.enter::<Timing>(&text, at_us, shared) {
                        let timing = entered.timing.map(|timing| (entered.index, timing));
                        delivered.samples.extend(timing.and_then(sample));
                        entered.tell(shared, &node, at_us, clock);
                    }
                }
                Ok(text) => {
                    if let Some(entered) = delivered.enter::<IgnoredAny>(&text, at_us, shared) {
                        entered.observe(shared, at_us, clock);
                    }
                }
                Err(ClientError::Closed(closed)) => {
                    shared.subscriber_gone(delivered.ledger.subscriber);
                    delivered.ledger.closed = Some(closed);
                    return delivered;
                }
                Err(_) => delivered.ledger.note(Kind::Corrupted, 0),
            }
            let ledger = &delivered.ledger;
            shared.tally.delivered(ledger.subscriber, ledger.position());
        }
    }
}

impl Delivered {
    /// What went wrong with the connection.
    pub(super) fn flaw(&self) -> Option<String> {
        let closed = self.ledger.closed.as_ref()?;
        let number = self.ledger.subscriber;
        let advice = if closed.code == Some(CloseCode::SlowClient.number()) {
            ". It didn't keep up: lower --rate or --outstanding, or have fewer subscribers"
        } else {
            ""
        };
        Some(format!("subscriber {number}'s connection ended early: {closed}{advice}"))
    }

    /// Enters a frame in the ledger; returns what it said if it was a message of this run.
    fn enter<'a, T: Deserialize<'a>>(
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
        Some(Entered { index, seq, traceparent: frame.traceparent, timing: frame.timing })
    }
}

impl<T> Entered<'_, T> {
    fn observe(&self, shared: &Shared, at_us: u32, clock: Clock) {
        if let Some(observer) = &shared.observer {
            observer.delivered(self.index, self.seq, at_us, clock);
        }
    }
}

impl Entered<'_, Timing> {
    fn tell(&self, shared: &Shared, node: &str, at_us: u32, clock: Clock) {
        let Some(observer) = &shared.observer else {
            return;
        };
        let told = Told {
            index: self.index,
            traceparent: &self.traceparent,
            timing: self.timing,
            node,
            at_us,
            decoded_us: clock.now_us(),
        };
        observer.told(&told, clock);
        observer.delivered(self.index, self.seq, at_us, clock);
    }
}

fn sample((index, timing): (u32, Timing)) -> Option<HopSample> {
    let between = |from: u64, to: u64| u32::try_from(to.saturating_sub(from)).ok();
    let before_receive_us = match timing.stamps {
        Some(stamps) => Some((
            between(stamps.accepted_us, stamps.queued_us)?,
            between(stamps.queued_us, stamps.committed_us)?,
            between(stamps.committed_us, timing.received_us)?,
        )),
        None => None,
    };
    Some(HopSample {
        index,
        origin: timing.origin,
        before_receive_us,
        receive_us: between(timing.received_us, timing.handed_us)?,
    })
}
