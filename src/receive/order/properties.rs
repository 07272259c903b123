//! Whatever a broker, a database and clients may do, in steps, against the simplest model there is: the list of what is
//! committed, of which a channel's subscribers get the part behind its baseline.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(100);
const AHEAD_MAX: usize = 8;
/// Messages that a read brings at most.
const PAGE: usize = 3;
/// Where numbers lie that no channel reaches here.
const FAR: u64 = 1 << 40;
const CHANNELS: [&str; 2] = ["one", "two"];

#[derive(Debug, Clone)]
enum Step {
    /// More messages are committed, in a channel.
    Commit(usize, u64),
    /// The broker brings a committed message, so many before the newest, perhaps again.
    Arrive(usize, u64),
    /// It brings a number that the counter is far from.
    Stray(usize, u64),
    /// Positions are compared with the counter as it was so many commits ago.
    Compare {
        channel: usize,
        age: u64,
        broker_up: bool,
    },
    /// Time passes, and a part of the gaps that are due are read.
    Tick {
        ms: u64,
        count_max: usize,
    },
    /// One of the reads under way comes back. It may have seen the counter at its beginning or its end.
    Answer {
        which: prop::sample::Index,
        answer: Answer,
    },
    /// The first subscriber comes, or the last one goes.
    Watch(usize),
    Unwatch(usize),
    /// The counter that was read for the first subscriber comes back, as it was so many commits ago.
    Begin {
        channel: usize,
        age: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Fails,
    SawBeginning,
    SawEnd,
}

fn step() -> impl Strategy<Value = Step> {
    let channel = || 0..CHANNELS.len();
    let answer = prop_oneof![
        1 => Just(Answer::Fails),
        2 => Just(Answer::SawBeginning),
        2 => Just(Answer::SawEnd),
    ];
    prop_oneof![
        6 => (channel(), 1..6u64).prop_map(|(channel, count)| Step::Commit(channel, count)),
        9 => (channel(), 0..16u64).prop_map(|(channel, back)| Step::Arrive(channel, back)),
        1 => (channel(), FAR..FAR + 3).prop_map(|(channel, seq)| Step::Stray(channel, seq)),
        2 => (channel(), 0..6u64, any::<bool>())
            .prop_map(|(channel, age, broker_up)| Step::Compare { channel, age, broker_up }),
        5 => (0..40u64, 1..3usize).prop_map(|(ms, count_max)| Step::Tick { ms, count_max }),
        5 => (any::<prop::sample::Index>(), answer).prop_map(|(which, answer)| Step::Answer { which, answer }),
        2 => channel().prop_map(Step::Watch),
        1 => channel().prop_map(Step::Unwatch),
        3 => (channel(), 0..6u64).prop_map(|(channel, age)| Step::Begin { channel, age }),
    ]
}

/// A channel as it is in PostgreSQL, and as its subscribers see it.
#[derive(Default)]
struct Channel {
    last_seq: u64,
    /// The counter when the first subscriber came, while it has one.
    watched_at: Option<u64>,
    /// The counter that it began with.
    baseline: Option<u64>,
    delivered: Vec<u64>,
    skipped: u64,
}

struct Read {
    missing: Missing,
    /// The counter when it began.
    last_seq: u64,
}

struct World {
    order: Order<u64>,
    now: Duration,
    channels: [Channel; 2],
    /// Numbers that the counters cover and no row holds.
    absent: BTreeSet<u64>,
    reads: Vec<Read>,
}

fn name(channel: usize) -> ChannelName {
    CHANNELS[channel].parse().unwrap()
}

fn index(name: &ChannelName) -> usize {
    CHANNELS.iter().position(|channel| *channel == &**name).unwrap()
}

impl World {
    fn new(absent: BTreeSet<u64>) -> Self {
        let order = Order::new(PATIENCE, AHEAD_MAX);
        Self { order, now: Duration::ZERO, channels: Default::default(), absent, reads: Vec::new() }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Commit(channel, count) => self.channels[channel].last_seq += count,
            Step::Arrive(channel, back) => {
                let seq = self.channels[channel].last_seq.saturating_sub(back);
                if seq > 0 && !self.absent.contains(&seq) {
                    self.arrive(channel, seq);
                }
            }
            Step::Stray(channel, seq) => self.arrive(channel, seq),
            Step::Compare { channel, age, broker_up } => {
                let last_seq = self.channels[channel].last_seq.saturating_sub(age);
                let due = if broker_up { self.now + PATIENCE } else { self.now };
                self.order.compare(due, &name(channel), last_seq);
            }
            Step::Tick { ms, count_max } => self.tick(Duration::from_millis(ms), count_max),
            Step::Answer { which, answer } if !self.reads.is_empty() => {
                let read = self.reads.swap_remove(which.index(self.reads.len()));
                self.answer(&read, answer);
            }
            Step::Answer { .. } => {}
            Step::Watch(channel) => {
                let has_position = self.order.watch(&name(channel));
                let model = &mut self.channels[channel];
                assert_eq!(has_position, model.baseline.is_some());
                model.watched_at.get_or_insert(model.last_seq);
            }
            Step::Unwatch(channel) => {
                self.order.unwatch(&name(channel));
                let last_seq = self.channels[channel].last_seq;
                self.channels[channel] = Channel { last_seq, ..Channel::default() };
            }
            Step::Begin { channel, age } => self.begin(channel, age),
        }
    }

    fn arrive(&mut self, channel: usize, seq: u64) {
        let model = &mut self.channels[channel];
        let before = model.delivered.len();
        let placed = self.order.arrive(self.now, &name(channel), seq, seq, &mut model.delivered);
        assert_eq!(placed == Placed::Unwatched, model.watched_at.is_none());
        assert_eq!(placed == Placed::InOrder, model.delivered.get(before) == Some(&seq));
    }

    fn begin(&mut self, channel: usize, age: u64) {
        let model = &mut self.channels[channel];
        let (Some(watched_at), None) = (model.watched_at, model.baseline) else { return };
        let baseline = model.last_seq.saturating_sub(age).max(watched_at);
        model.baseline = Some(baseline);
        self.order.begin(self.now, &name(channel), baseline, &mut model.delivered);
    }

    fn tick(&mut self, passed: Duration, count_max: usize) {
        self.now += passed;
        let due = self.order.due(self.now, count_max);
        assert!(due.len() <= count_max);
        if due.len() < count_max {
            assert!(self.order.next_due().is_none_or(|due| due > self.now), "what is due stays due");
        }
        let last_seq = |missing: &Missing| self.channels[index(&missing.channel)].last_seq;
        self.reads.extend(due.into_iter().map(|missing| Read { last_seq: last_seq(&missing), missing }));
    }

    /// What `receive` makes of a read.
    fn answer(&mut self, Read { missing, last_seq }: &Read, answer: Answer) {
        let Missing { channel, after, upto, .. } = missing;
        let model = &mut self.channels[index(channel)];
        let last_seq = match answer {
            Answer::Fails => return self.order.heal_failed(self.now, channel, PAUSE),
            Answer::SawBeginning => *last_seq,
            Answer::SawEnd => model.last_seq,
        };
        // Rows are read after the counter: there may be more of them.
        let exist = after + 1..=model.last_seq.min(*upto);
        let stored: Vec<u64> = exist.filter(|seq| !self.absent.contains(seq)).take(PAGE).collect();
        let known = if stored.len() == PAGE { stored[PAGE - 1] } else { last_seq.min(*upto) };
        let stored = stored.into_iter().map(|seq| (seq, seq));
        self.order.refute(channel, last_seq, *upto);
        let skipped = self.order.healed(self.now, channel, known, stored, &mut model.delivered);
        model.skipped += skipped;
    }

    /// What a channel's subscribers are to get, as far as it is committed.
    fn owed(&self, channel: usize) -> Vec<u64> {
        let model = &self.channels[channel];
        let Some(baseline) = model.baseline else { return Vec::new() };
        (baseline + 1..=model.last_seq).filter(|seq| !self.absent.contains(seq)).collect()
    }

    fn check(&self) {
        for channel in 0..CHANNELS.len() {
            let (owed, delivered) = (self.owed(channel), &self.channels[channel].delivered);
            assert!(owed.starts_with(delivered), "{delivered:?} is no beginning of {owed:?}");
            let Some(lane) = self.order.lanes.get(&name(channel)) else { continue };
            assert!(lane.ahead.len() <= AHEAD_MAX, "{} wait", lane.ahead.len());
            let gap = self.order.gaps.get(&name(channel));
            let is_behind = lane.next.is_some_and(|next| next <= lane.horizon);
            assert_eq!(gap.is_some(), is_behind, "a gap is open as long as something is missing");
            assert!(gap.is_none_or(|gap| gap.healing || gap.due <= self.now + PAUSE));
        }
    }

    /// The broker brings nothing more, the database answers, and positions are compared.
    fn settle(&mut self) {
        for read in std::mem::take(&mut self.reads) {
            self.answer(&read, Answer::SawEnd);
        }
        for channel in 0..CHANNELS.len() {
            self.begin(channel, 0);
            self.order.compare(self.now, &name(channel), self.channels[channel].last_seq);
            self.heal_all();
        }
    }

    fn heal_all(&mut self) {
        let reads_max = self.channels.iter().map(|channel| channel.last_seq).sum::<u64>() + 4;
        for _ in 0..reads_max {
            self.tick(PAUSE, CHANNELS.len());
            for read in std::mem::take(&mut self.reads) {
                self.answer(&read, Answer::SawEnd);
            }
            self.check();
        }
        assert_eq!(self.order.next_due(), None, "healing makes no progress");
    }
}

/// `PROPTEST_CASES` says how many.
fn config() -> ProptestConfig {
    let asked_for = std::env::var_os("PROPTEST_CASES").is_some();
    if asked_for { ProptestConfig::default() } else { ProptestConfig::with_cases(5_000) }
}

proptest! {
    #![proptest_config(config())]

    /// At any time what is delivered is the beginning of what is owed, and at last it is all of it.
    #[test]
    fn any_history_of_arrivals_and_reads_is_delivered_in_order_once_and_completely(
        absent in prop::collection::btree_set(1..120u64, 0..12),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new(absent);
        for channel in 0..CHANNELS.len() {
            world.take(&Step::Watch(channel));
        }
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.settle();
        for channel in 0..CHANNELS.len() {
            let (owed, model) = (world.owed(channel), &world.channels[channel]);
            prop_assert_eq!(&model.delivered, &owed);
            let passed = model.baseline.map_or(0, |baseline| model.last_seq - baseline);
            prop_assert_eq!(model.skipped, passed - owed.len() as u64, "only what does not exist is skipped");
        }
    }
}
