//! The audit: every message sent, acknowledged, stored and delivered, compared with one another.

mod finding;
mod ledger;
mod record;

use std::collections::BTreeMap;

use serde::Serialize;

use finding::EXAMPLES_MAX;
pub(crate) use finding::{Finding, Kind, Place};
pub(crate) use ledger::{Ledger, Received};
pub(crate) use record::{Answer, Record, Records, index_of};

/// A message as the history holds it. A message that isn't of this run has no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) index: Option<u32>,
    pub(crate) id_tail: u32,
}

/// All that is known after a run.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// The channels' names.
    pub(crate) channels: Vec<String>,
    pub(crate) records: Records,
    pub(crate) ledgers: Vec<Ledger>,
    /// Each channel's history, in the order in which the server gave it.
    pub(crate) history: Vec<Vec<Stored>>,
}

/// What the audit says.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Audit {
    /// Messages that were sent.
    pub(crate) sent: u64,
    /// Those that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Those that were refused, by error code.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// Those of which nobody knows: sent, neither acknowledged nor refused for good.
    pub(crate) indeterminate: u64,
    /// Those of the indeterminate ones that were stored after all.
    pub(crate) indeterminate_stored: u64,
    /// Messages in the channels' histories.
    pub(crate) stored: u64,
    /// Deliveries that were owed: each message to each of its channel's subscribers.
    pub(crate) owed: u64,
    /// Deliveries of distinct messages.
    pub(crate) delivered: u64,
    /// How often each kind of finding was made.
    pub(crate) findings: BTreeMap<&'static str, u64>,
    /// The first examples.
    pub(crate) examples: Vec<Finding>,
}

impl Audit {
    /// How often a kind was found.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.findings.get(kind.as_str()).copied().unwrap_or_default()
    }

    /// Whether nothing was found.
    pub(crate) fn is_clean(&self) -> bool {
        Kind::ALL.iter().all(|&kind| self.count(kind) == 0)
    }

    /// Adds what another run's audit says.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.indeterminate += other.indeterminate;
        self.indeterminate_stored += other.indeterminate_stored;
        self.stored += other.stored;
        self.owed += other.owed;
        self.delivered += other.delivered;
        for (own, others) in [(&mut self.refused, &other.refused), (&mut self.findings, &other.findings)] {
            for (name, count) in others {
                *own.entry(name).or_default() += count;
            }
        }
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
    }

    fn found(&mut self, kind: Kind, channel: &str, seq: Option<u64>, place: Place) {
        *self.findings.entry(kind.as_str()).or_default() += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(Finding { kind, channel: channel.to_owned(), seq, place });
        }
    }
}

/// Compares everything with everything.
pub(crate) fn audit(evidence: &Evidence) -> Audit {
    let mut audit = Audit::default();
    for kind in Kind::ALL {
        audit.findings.insert(kind.as_str(), 0);
    }
    count_answers(evidence, &mut audit);
    check_history(evidence, &mut audit);
    let truth = Truth::of(evidence, &mut audit);
    check_publishers_order(evidence, &mut audit);
    check_deliveries(evidence, &truth, &mut audit);
    audit
}

fn count_answers(evidence: &Evidence, audit: &mut Audit) {
    for (_, record) in evidence.records.iter() {
        audit.sent += u64::from(record.was_sent());
        audit.acknowledged += u64::from(record.is_acknowledged());
        audit.indeterminate += u64::from(record.is_indeterminate());
        if let Answer::Refused(code) = record.answer {
            *audit.refused.entry(code.as_str()).or_default() += 1;
        }
    }
}

/// Gaps and repetitions in the histories, and what has no business to be there.
fn check_history(evidence: &Evidence, audit: &mut Audit) {
    let mut stored: Vec<Vec<bool>> =
        evidence.records.0.iter().map(|records| vec![false; records.len()]).collect();
    let publishers = stored.len().max(1);
    for (channel, history) in evidence.channels.iter().zip(&evidence.history) {
        let mut expected = 1;
        for message in history {
            audit.stored += 1;
            for seq in expected..message.seq {
                audit.found(Kind::Skipped, channel, Some(seq), Place::History);
            }
            if message.seq < expected {
                audit.found(Kind::Duplicated, channel, Some(message.seq), Place::History);
            }
            expected = expected.max(message.seq.saturating_add(1));
            let record = message.index.and_then(|index| evidence.records.get(index));
            let (Some(index), Some(record)) = (message.index, record) else {
                audit.found(Kind::Corrupted, channel, Some(message.seq), Place::History);
                continue;
            };
            let seen = &mut stored[index as usize % publishers][index as usize / publishers];
            if std::mem::replace(seen, true) {
                audit.found(Kind::Duplicated, channel, Some(message.seq), Place::History);
            } else if record.is_indeterminate() {
                audit.indeterminate_stored += 1;
            } else if !record.is_acknowledged() {
                audit.found(Kind::Corrupted, channel, Some(message.seq), Place::History);
            }
        }
    }
}

/// Which message has which sequence number: what was stored, and what was acknowledged and isn't stored.
struct Truth(Vec<BySeq>);

/// By sequence number, from 1 on.
type BySeq = Vec<Option<(u32, u32)>>;

impl Truth {
    fn of(evidence: &Evidence, audit: &mut Audit) -> Self {
        let mut channels: Vec<BySeq> = evidence
            .history
            .iter()
            .map(|history| {
                let mut by_seq = BySeq::new();
                for message in history {
                    if let Some(index) = message.index {
                        enter(&mut by_seq, message.seq, (index, message.id_tail));
                    }
                }
                by_seq
            })
            .collect();
        let publishers = evidence.records.0.len().max(1);
        for (index, record) in evidence.records.iter() {
            let Answer::Acknowledged { seq, id_tail } = record.answer else {
                continue;
            };
            let name = &evidence.channels[record.channel as usize];
            let place = Place::Publisher(index as usize % publishers);
            let by_seq = &mut channels[record.channel as usize];
            match look_up(by_seq, seq) {
                Some(stored) if stored == (index, id_tail) => {}
                Some(_) => audit.found(Kind::Corrupted, name, Some(seq), place),
                None => {
                    audit.found(Kind::Unstored, name, Some(seq), place);
                    enter(by_seq, seq, (index, id_tail));
                }
            }
        }
        Self(channels)
    }
}

/// Sequence numbers beyond this are nonsense, and no table is made for them.
const SEQ_MAX: u64 = 1 << 30;

fn enter(by_seq: &mut BySeq, seq: u64, message: (u32, u32)) {
    if seq == 0 || seq > SEQ_MAX {
        return;
    }
    let place = usize::try_from(seq - 1).unwrap_or(usize::MAX);
    if by_seq.len() <= place {
        by_seq.resize(place + 1, None);
    }
    by_seq[place] = Some(message);
}

fn look_up(by_seq: &BySeq, seq: u64) -> Option<(u32, u32)> {
    *by_seq.get(usize::try_from(seq.checked_sub(1)?).ok()?)?
}

/// A publisher's messages to one channel are numbered in the order in which it sent them. One that was sent again takes
/// the place of whichever try was stored.
fn check_publishers_order(evidence: &Evidence, audit: &mut Audit) {
    for (publisher, records) in evidence.records.0.iter().enumerate() {
        let mut last = vec![0; evidence.channels.len()];
        for record in records.iter().filter(|record| record.tries <= 1) {
            let Answer::Acknowledged { seq, .. } = record.answer else {
                continue;
            };
            let last = &mut last[record.channel as usize];
            if seq < *last {
                let channel = &evidence.channels[record.channel as usize];
                audit.found(Kind::Reordered, channel, Some(seq), Place::Publisher(publisher));
            }
            *last = seq.max(*last);
        }
    }
}

fn check_deliveries(evidence: &Evidence, truth: &Truth, audit: &mut Audit) {
    for ledger in &evidence.ledgers {
        let name = &evidence.channels[ledger.channel];
        let place = Place::Subscriber(ledger.subscriber);
        let by_seq = &truth.0[ledger.channel];
        audit.delivered += ledger.delivered;
        for kind in Kind::ALL {
            *audit.findings.entry(kind.as_str()).or_default() += ledger.count(kind);
        }
        for finding in ledger.examples(&evidence.channels) {
            if audit.examples.len() < EXAMPLES_MAX {
                audit.examples.push(finding);
            }
        }
        for (seq, message) in (1..).zip(by_seq) {
            if message.is_none() || !ledger.is_owed(seq) {
                continue;
            }
            audit.owed += 1;
            if ledger.get(seq).is_none() {
                audit.found(Kind::Lost, name, Some(seq), place);
            }
        }
        for (seq, received) in ledger.iter() {
            if look_up(by_seq, seq) != Some((received.index, received.id_tail)) {
                audit.found(Kind::Corrupted, name, Some(seq), place);
            }
        }
    }
}

#[cfg(test)]
mod tests;
