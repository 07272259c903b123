//! The series, from what the clients brought home. Only messages that were due within a part of it count.

use std::{collections::HashMap, ops::Range};

use hopline::hop::{Hop, Origin, Recipient};

use super::{
    Measure, Series,
    reconcile::{unexplained_us, uplink_us},
};
use crate::{
    audit::{Answer, Evidence, Ledger, Received, Record},
    run::{Outcome, Upstream, Visit},
};

/// A part of a run.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) outcome: &'a Outcome,
    /// What was due within it counts.
    pub(super) window_us: &'a Range<u32>,
}

pub(super) fn all(part: &Part<'_>) -> Vec<Series> {
    let mut all = publishers(part);
    all.extend(hops(part));
    all.extend(recipients(part));
    all.extend(visits(part));
    all
}

/// The figures of each message's first, median and last recipient.
#[derive(Debug)]
pub(super) struct Recipients([Series; 3]);

impl Recipients {
    pub(super) fn new(measure: Measure) -> Self {
        Self(Recipient::ALL.map(|recipient| Series::new(measure, None, Some(recipient))))
    }

    /// Of one message; its recipients in any order.
    pub(super) fn record(&mut self, us: &mut [i64]) {
        us.sort_unstable();
        if let (Some(first), Some(last)) = (us.first(), us.last()) {
            let figures = [*first, us[(us.len() - 1) / 2], *last];
            self.0.iter_mut().zip(figures).for_each(|(series, us)| series.record_difference(us));
        }
    }

    pub(super) fn into_series(self) -> [Series; 3] {
        self.0
    }
}

/// What the publishers saw.
fn publishers(part: &Part<'_>) -> Vec<Series> {
    let series = |measure| Series::new(measure, None, None);
    let [mut lag, mut ack, mut service] = [Measure::SendLag, Measure::Ack, Measure::ServiceAck].map(series);
    let alone = alone(&part.outcome.evidence);
    for (index, record) in part.outcome.evidence.records.iter() {
        if !record.was_sent() || !part.window_us.contains(&record.intended_us) {
            continue;
        }
        lag.record(record.sent_us.saturating_sub(record.intended_us));
        if let Answer::Acknowledged { .. } = record.answer {
            ack.record(record.answered_us.saturating_sub(record.intended_us));
            if is_alone(&alone, index) {
                service.record(record.answered_us.saturating_sub(record.sent_us));
            }
        }
    }
    vec![lag, ack, service]
}

/// By publisher and message, whether a closed loop would have sent it: when it was due, everything that such a loop
/// had sent before was answered.
fn alone(evidence: &Evidence) -> Vec<Vec<bool>> {
    let of_publisher = |records: &Vec<Record>| {
        let mut free_at_us = 0;
        let is_sent = |record: &Record| {
            let is_free = record.was_sent() && record.sent_us >= free_at_us;
            if is_free {
                free_at_us = if record.is_acknowledged() { record.answered_us } else { record.sent_us };
            }
            is_free
        };
        records.iter().map(is_sent).collect()
    };
    evidence.records.0.iter().map(of_publisher).collect()
}

fn is_alone(alone: &[Vec<bool>], index: u32) -> bool {
    let (index, publishers) = (index as usize, alone.len());
    alone[index % publishers][index / publishers]
}

/// What the servers told with the messages.
fn hops(part: &Part<'_>) -> Vec<Series> {
    let hop = |hop, origin| Series::new(Measure::Hop(hop), origin, None);
    let (mut accept, mut persist) = (hop(Hop::Accept, None), hop(Hop::Persist, None));
    let mut outbox = hop(Hop::Outbox, None);
    let mut own = hop(Hop::Broadcast, Some(Origin::Own));
    let mut peer = hop(Hop::Broadcast, Some(Origin::Peer));
    let mut receive = hop(Hop::Receive, None);
    let mut uplink = Series::new(Measure::Uplink, None, None);
    let mut unexplained = Series::new(Measure::Unexplained, None, None);
    // Each server tells of accept, persist and outbox; they happened once.
    let mut told: Vec<Vec<bool>> =
        part.outcome.evidence.records.0.iter().map(|records| vec![false; records.len()]).collect();
    for sample in &part.outcome.samples {
        let record = part.outcome.evidence.records.get(sample.index);
        let Some(record) = record.filter(|record| part.window_us.contains(&record.intended_us)) else {
            continue;
        };
        receive.record(sample.receive_us);
        if let Some(us) = unexplained_us(sample, record) {
            unexplained.record_difference(us.abs());
        }
        let Some(Upstream { accept_us, persist_us, outbox_us, broadcast_us, .. }) = sample.upstream else {
            continue;
        };
        let (index, publishers) = (sample.index as usize, told.len());
        if !std::mem::replace(&mut told[index % publishers][index / publishers], true) {
            uplink.record_difference(uplink_us(sample, record).unwrap_or_default());
            accept.record(accept_us);
            persist.record(persist_us);
            if let Some(us) = outbox_us {
                outbox.record(us);
            }
        }
        match sample.origin {
            Origin::Own => own.record(broadcast_us),
            Origin::Peer => peer.record(broadcast_us),
            Origin::Healed => {}
        }
    }
    vec![uplink, accept, persist, outbox, own, peer, receive, unexplained]
}

/// What the subscribers saw: each delivery, and of each message the first, median and last one; the same from the
/// hand-over on each server. What was recovered after a reconnection has a figure of its own.
fn recipients(part: &Part<'_>) -> Vec<Series> {
    let evidence = &part.outcome.evidence;
    let mut seen = Seen::by(part);
    for channel in 0..evidence.channels.len() {
        let ledgers: Vec<&Ledger> =
            evidence.ledgers.iter().filter(|ledger| ledger.channel == channel).collect();
        let length = ledgers.iter().map(|ledger| ledger.last_seq()).max().unwrap_or_default();
        for seq in 1..=length {
            for ledger in ledgers.iter().filter(|ledger| !ledger.is_recovered(seq)) {
                if let Some(received) = ledger.get(seq) {
                    seen.delivery(part, ledger.subscriber, received);
                }
            }
            seen.end_of_message();
        }
    }
    let mut series = vec![seen.total, seen.service];
    series.extend(seen.of_message.into_series());
    series.extend(seen.of_server.into_series());
    series
}

/// What the subscribers saw so far.
struct Seen {
    alone: Vec<Vec<bool>>,
    handed: HashMap<(usize, u32), i64>,
    total: Series,
    service: Series,
    of_message: Recipients,
    of_server: Recipients,
    /// The message's deliveries from its intended time on, and by server from its hand-over on.
    totals_us: Vec<i64>,
    sends_us: Vec<Vec<i64>>,
}

impl Seen {
    fn by(part: &Part<'_>) -> Self {
        let total = Measure::Hop(Hop::Total);
        let servers = part.outcome.servers.iter().max().map_or(0, |last| last + 1);
        Self {
            alone: alone(&part.outcome.evidence),
            handed: handed(part),
            total: Series::new(total, None, None),
            service: Series::new(Measure::ServiceTotal, None, None),
            of_message: Recipients::new(total),
            of_server: Recipients::new(Measure::SendAndDrain),
            totals_us: Vec::new(),
            sends_us: vec![Vec::new(); servers],
        }
    }

    fn delivery(&mut self, part: &Part<'_>, subscriber: usize, received: &Received) {
        let record = part.outcome.evidence.records.get(received.index);
        let Some(record) = record.filter(|record| part.window_us.contains(&record.intended_us)) else {
            return;
        };
        let total_us = received.at_us.saturating_sub(record.intended_us);
        self.total.record(total_us);
        self.totals_us.push(i64::from(total_us));
        if is_alone(&self.alone, received.index) {
            self.service.record(received.at_us.saturating_sub(record.sent_us));
        }
        let server = part.outcome.servers[subscriber];
        if let Some(handed_us) = self.handed.get(&(server, received.index)) {
            self.sends_us[server].push(i64::from(received.at_us) - handed_us);
        }
    }

    fn end_of_message(&mut self) {
        self.of_message.record(&mut self.totals_us);
        self.totals_us.clear();
        for sends_us in &mut self.sends_us {
            self.of_server.record(sends_us);
            sends_us.clear();
        }
    }
}

/// By server and message, when it was handed to the recipients' queues.
fn handed(part: &Part<'_>) -> HashMap<(usize, u32), i64> {
    part.outcome.samples.iter().map(|sample| ((sample.server, sample.index), sample.handed_us)).collect()
}

/// How long it took subscribers to come back.
fn visits(part: &Part<'_>) -> [Series; 2] {
    let [mut recovery, mut join] =
        [Measure::Recovery, Measure::Join].map(|measure| Series::new(measure, None, None));
    for visit in &part.outcome.visits {
        let (series, at_us, us) = match *visit {
            Visit::Recovery { at_us, us } => (&mut recovery, at_us, us),
            Visit::Join { at_us, us } => (&mut join, at_us, us),
        };
        if part.window_us.contains(&at_us) {
            series.record(us);
        }
    }
    [recovery, join]
}
