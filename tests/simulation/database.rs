//! A database in memory: what is committed stays, and reads of it can be slow or fail.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use hopline::{
    history::{History, HistoryError, Range},
    protocol::{ChannelName, Message},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;
use uuid::Uuid;

use crate::seed::Broken;

/// One number in so many is never used, though the counter covers it.
const UNUSED_ONE_IN: u32 = 50;

/// How the database answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Slow,
    Away,
}

pub(crate) struct Database(Mutex<State>);

struct State {
    /// Each channel's rows, from number 1 on; none where a number is not used.
    channels: BTreeMap<ChannelName, Vec<Option<Message>>>,
    mood: Mood,
    broken: Broken,
    random: StdRng,
}

impl Database {
    pub(crate) fn new(seed: u64, broken: Broken) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self(Mutex::new(State { channels: BTreeMap::new(), mood: Mood::Well, broken, random }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Commits one more message of a channel.
    pub(crate) fn commit(&self, channel: &ChannelName) -> Message {
        let state = &mut *self.state();
        let rows = state.channels.entry(channel.clone()).or_default();
        if state.random.random_ratio(1, UNUSED_ONE_IN) {
            rows.push(None);
        }
        let message = message(channel, rows.len() as u64 + 1, &mut state.random);
        rows.push(Some(message.clone()));
        message
    }

    /// A channel's next message behind a number, if there is one.
    pub(crate) fn next_after(&self, channel: &ChannelName, seq: u64) -> Option<Message> {
        self.state().rows(channel, seq + 1..=u64::MAX).next()
    }

    /// A channel's last message.
    pub(crate) fn newest(&self, channel: &ChannelName) -> u64 {
        self.state().rows(channel, 1..=u64::MAX).last().map_or(0, |message| message.seq)
    }

    /// Reads: a snapshot of some moment, some time later.
    async fn read<T>(&self, snapshot: impl FnOnce(&State) -> T) -> Result<T, HistoryError> {
        let [before, after, limit] = self.state().delays();
        sleep(before).await;
        let read = snapshot(&self.state());
        sleep(after).await;
        if before + after >= limit { Err(sqlx::Error::PoolTimedOut.into()) } else { Ok(read) }
    }
}

impl State {
    /// How long a read takes until its snapshot and from there on, and with how much it fails.
    fn delays(&mut self) -> [Duration; 3] {
        let ms_max = match self.mood {
            Mood::Well => 4,
            Mood::Slow => 900,
            Mood::Away => 2_000,
        };
        let limit_ms = if self.mood == Mood::Away { 0 } else { 1_500 };
        let mut delay = || Duration::from_millis(self.random.random_range(0..=ms_max));
        [delay(), delay(), Duration::from_millis(limit_ms)]
    }

    fn last_seq(&self, channel: &ChannelName) -> u64 {
        self.channels.get(channel).map_or(0, |rows| rows.len() as u64)
    }

    fn rows(&self, channel: &ChannelName, range: RangeInclusive<u64>) -> impl Iterator<Item = Message> {
        let rows = self.channels.get(channel).into_iter().flatten().flatten();
        rows.filter(move |message| range.contains(&message.seq)).cloned()
    }

    fn page(&self, range: &Range<'_>, count_max: usize) -> Vec<Message> {
        let is_there = |message: &Message| self.broken != Broken::Rows || !message.seq.is_multiple_of(10);
        let rows = self.rows(range.channel, range.after + 1..=range.upto);
        rows.filter(is_there).take(count_max).collect()
    }
}

fn message(channel: &ChannelName, seq: u64, random: &mut StdRng) -> Message {
    let id = Uuid::from_u128(random.random());
    Message {
        channel: channel.clone(),
        seq,
        id,
        sender: "ann".parse().unwrap(),
        client_message_id: id,
        body: format!("{channel} {seq}"),
        accepted_at_ms: seq,
        traceparent: None,
        timing: None,
    }
}

#[async_trait]
impl History for Database {
    async fn last_seq(&self, channel: &ChannelName) -> Result<u64, HistoryError> {
        self.read(|state| state.last_seq(channel)).await
    }

    async fn positions(&self, channels: &[ChannelName]) -> Result<Vec<(ChannelName, u64)>, HistoryError> {
        let position = |state: &State, channel: &ChannelName| {
            let stands_still = state.broken == Broken::Counters;
            (channel.clone(), if stands_still { 0 } else { state.last_seq(channel) })
        };
        self.read(|state| channels.iter().map(|channel| position(state, channel)).collect()).await
    }

    async fn page(&self, range: Range<'_>, count_max: usize) -> Result<Vec<Message>, HistoryError> {
        self.read(|state| state.page(&range, count_max)).await
    }

    async fn pages(&self, ranges: &[Range<'_>], count_max: usize) -> Result<Vec<Message>, HistoryError> {
        self.read(|state| ranges.iter().flat_map(|range| state.page(range, count_max)).collect()).await
    }
}
