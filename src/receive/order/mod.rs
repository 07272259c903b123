//! The order of each channel, as a state machine without I/O and without a clock: it is told what arrived
//! and what time it is, and says what to deliver and what to read from PostgreSQL.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    time::Duration,
};

use crate::{protocol::ChannelName, telemetry::labels::GapCause};

/// The positions of all channels with local subscribers. Times are durations since any fixed moment.
pub struct Order<M> {
    lanes: HashMap<ChannelName, Lane<M>>,
    /// The channels in which messages are missing: few, however many are watched.
    gaps: HashMap<ChannelName, Gap>,
    patience: Duration,
    ahead_max: usize,
}

/// What this server owes the local subscribers of one channel.
struct Lane<M> {
    /// The next number to deliver; none until the channel's counter has been read.
    next: Option<u64>,
    /// What arrived before its predecessors.
    ahead: BTreeMap<u64, M>,
    /// The highest number that is known to be committed. `next` at or below it is a gap.
    horizon: u64,
}

struct Gap {
    cause: GapCause,
    /// When the broker's time to close it by itself is over.
    due: Duration,
    /// Whether a read of the missing messages is under way.
    healing: bool,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It was the next one; it and what it released are to be delivered.
    InOrder,
    /// It waits for its predecessors.
    Early,
    /// It was delivered before, or waits already.
    Duplicate,
    /// Too many wait: it was dropped, and will be healed.
    AheadFull,
    /// No one here is subscribed to the channel.
    Unwatched,
}

/// Missing messages to be read: those of `channel` with `after < seq <= upto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The channel's name.
    pub channel: ChannelName,
    /// The last number that was delivered.
    pub after: u64,
    /// The last number that is wanted.
    pub upto: u64,
    /// What showed the gap.
    pub cause: GapCause,
}

impl<M> Order<M> {
    /// A gap is given `patience` to close by itself; a channel holds at most `ahead_max` early messages.
    pub fn new(patience: Duration, ahead_max: usize) -> Self {
        Self { lanes: HashMap::new(), gaps: HashMap::new(), patience, ahead_max }
    }

    /// Watches a channel: from now on arrivals are kept, until [`Self::begin`] says where to start.
    /// Returns whether the channel has a position already.
    pub fn watch(&mut self, channel: &ChannelName) -> bool {
        if let Some(lane) = self.lanes.get(channel) {
            return lane.next.is_some();
        }
        let lane = Lane { next: None, ahead: BTreeMap::new(), horizon: 0 };
        self.lanes.insert(channel.clone(), lane);
        false
    }

    /// Starts delivery behind `baseline`, a value of the channel's counter that was read after
    /// [`Self::watch`]. A channel that has a position keeps it.
    pub fn begin(&mut self, now: Duration, channel: &ChannelName, baseline: u64, deliver: &mut Vec<M>) {
        let Some(lane) = self.lanes.get_mut(channel).filter(|lane| lane.next.is_none()) else {
            return;
        };
        lane.next = Some(baseline + 1);
        lane.horizon = lane.horizon.max(baseline);
        lane.ahead = lane.ahead.split_off(&(baseline + 1));
        lane.advance(baseline, deliver);
        look_for_gap(&mut self.gaps, channel, lane, now + self.patience, GapCause::Arrival);
    }

    /// Forgets a channel.
    pub fn unwatch(&mut self, channel: &ChannelName) {
        self.lanes.remove(channel);
        self.gaps.remove(channel);
    }

    /// The channels that have a position.
    pub fn watched(&self) -> impl Iterator<Item = &ChannelName> {
        self.lanes.iter().filter(|(_, lane)| lane.next.is_some()).map(|(channel, _)| channel)
    }

    /// Places a message from the broker. What is in order now is appended to `deliver`.
    pub fn arrive(
        &mut self,
        now: Duration,
        channel: &ChannelName,
        seq: u64,
        message: M,
        deliver: &mut Vec<M>,
    ) -> Placed {
        let Some(lane) = self.lanes.get_mut(channel) else {
            return Placed::Unwatched;
        };
        lane.horizon = lane.horizon.max(seq);
        let placed = match lane.next {
            Some(next) if seq < next => return Placed::Duplicate,
            Some(next) if seq == next => {
                deliver.push(message);
                lane.next = Some(seq + 1);
                lane.advance(seq, deliver);
                self.gaps.get_mut(channel).into_iter().for_each(|gap| gap.due = now + self.patience);
                Placed::InOrder
            }
            _ => lane.keep(seq, message, self.ahead_max),
        };
        look_for_gap(&mut self.gaps, channel, lane, now + self.patience, GapCause::Arrival);
        placed
    }

    /// Compares a channel's position with a value of its counter. What is missing is due at `due`: then the broker's time to
    /// bring it is over.
    pub fn compare(&mut self, due: Duration, channel: &ChannelName, last_seq: u64) {
        let Some(lane) = self.lanes.get_mut(channel) else {
            return;
        };
        lane.horizon = lane.horizon.max(last_seq);
        look_for_gap(&mut self.gaps, channel, lane, due, GapCause::Position);
    }

    /// When [`Self::due`] will next have something to read.
    pub fn next_due(&self) -> Option<Duration> {
        self.gaps.values().filter(|gap| !gap.healing).map(|gap| gap.due).min()
    }

    /// The gaps whose time is over, at most `count_max` of them: those that wait longest. Each must be answered by
    /// [`Self::healed`] or [`Self::heal_failed`].
    pub fn due(&mut self, now: Duration, count_max: usize) -> Vec<Missing> {
        let mut missing = Vec::new();
        let is_over = |gap: &Gap| !gap.healing && gap.due <= now;
        let mut over: Vec<_> = self.gaps.iter_mut().filter(|(_, gap)| is_over(gap)).collect();
        over.sort_unstable_by(|(name, gap), (other_name, other)| {
            (gap.due, name).cmp(&(other.due, other_name))
        });
        for (channel, gap) in over.into_iter().take(count_max) {
            let Some(lane) = self.lanes.get(channel) else {
                continue;
            };
            let Some(next) = lane.next else { continue };
            gap.healing = true;
            missing.push(Missing {
                channel: channel.clone(),
                after: next - 1,
                upto: lane.horizon,
                cause: gap.cause,
            });
        }
        missing
    }

    /// The channel's counter, read after [`Self::due`] asked for numbers up to `upto`, stands at `last_seq`. If
    /// that is less, what came with a higher number is no message of this channel, and is dropped.
    pub fn refute(&mut self, channel: &ChannelName, last_seq: u64, upto: u64) {
        let Some(lane) = self.lanes.get_mut(channel).filter(|_| last_seq < upto) else { return };
        lane.ahead.retain(|seq, _| *seq <= last_seq || *seq > upto);
        lane.horizon = lane.ahead.last_key_value().map_or(last_seq, |(seq, _)| last_seq.max(*seq));
    }

    /// Takes what PostgreSQL holds of a channel between the asked-for `after` and `upto`, all of it and in
    /// order. Numbers that it lacks do not exist and are skipped; returns how many.
    ///
    /// What is still missing behind `upto` is due at once.
    pub fn healed(
        &mut self,
        now: Duration,
        channel: &ChannelName,
        upto: u64,
        stored: impl IntoIterator<Item = (u64, M)>,
        deliver: &mut Vec<M>,
    ) -> u64 {
        let Some(lane) = self.lanes.get_mut(channel) else {
            return 0;
        };
        let Some(next) = lane.next else { return 0 };
        for (seq, message) in stored {
            if seq >= next {
                lane.ahead.entry(seq).or_insert(message);
            }
        }
        let skipped = lane.advance(upto, deliver);
        let cause = self.gaps.remove(channel).map_or(GapCause::Arrival, |gap| gap.cause);
        look_for_gap(&mut self.gaps, channel, lane, now, cause);
        skipped
    }

    /// The read failed: the gap stays, and is due again after `pause`.
    pub fn heal_failed(&mut self, now: Duration, channel: &ChannelName, pause: Duration) {
        if let Some(gap) = self.gaps.get_mut(channel) {
            gap.healing = false;
            gap.due = now + pause;
        }
    }
}

impl<M> Lane<M> {
    /// Delivers what is in order. Numbers up to `known` that do not wait here do not exist; returns how many
    /// of them were passed over.
    fn advance(&mut self, known: u64, deliver: &mut Vec<M>) -> u64 {
        let Some(mut next) = self.next else { return 0 };
        let mut skipped = 0;
        while let Some(entry) = self.ahead.first_entry() {
            let seq = *entry.key();
            if seq > next && next > known {
                break;
            }
            // Past `known` a missing number may still come.
            let reachable = seq.min(known.saturating_add(1)).max(next);
            skipped += reachable - next;
            next = reachable;
            if seq > next {
                break;
            }
            deliver.push(entry.remove());
            next = seq + 1;
        }
        if next <= known {
            skipped += known + 1 - next;
            next = known + 1;
        }
        self.next = Some(next);
        skipped
    }

    fn keep(&mut self, seq: u64, message: M, ahead_max: usize) -> Placed {
        let full = self.ahead.len() >= ahead_max;
        match self.ahead.entry(seq) {
            Entry::Occupied(_) => Placed::Duplicate,
            Entry::Vacant(_) if full => Placed::AheadFull,
            Entry::Vacant(place) => {
                place.insert(message);
                Placed::Early
            }
        }
    }
}

/// Opens a gap where messages are missing, closes it where none are. One that is open keeps the earlier time.
fn look_for_gap<M>(
    gaps: &mut HashMap<ChannelName, Gap>,
    channel: &ChannelName,
    lane: &Lane<M>,
    due: Duration,
    cause: GapCause,
) {
    if lane.next.is_none_or(|next| next > lane.horizon) {
        if !gaps.is_empty() {
            gaps.remove(channel);
        }
    } else if let Some(gap) = gaps.get_mut(channel) {
        gap.due = gap.due.min(due);
    } else {
        gaps.insert(channel.clone(), Gap { cause, due, healing: false });
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
