//! Drills: something is broken on purpose, under load, and everything that was acknowledged must still arrive, once
//! and in order.

mod args;
mod bound;
mod carry_out;
mod catalogue;
mod fault;
mod figures;
mod outage;
mod sabotage;
mod sign;
mod site;
mod validity;

use std::time::Duration;

pub use args::DrillArgs;
pub(crate) use args::drills;
pub(crate) use bound::{Bound, Check};
pub(crate) use carry_out::{Conditions, Drilled, Manner, carry_out, start_lab, under_load};
pub(crate) use catalogue::DRILLS;
pub(crate) use fault::Fault;
pub(crate) use figures::Figures;
pub(crate) use outage::outage;
pub(crate) use sabotage::Sabotage;
pub(crate) use sign::{Seen, Sign};
pub(crate) use site::{Site, Window};
pub(crate) use validity::reasons;

use crate::{
    lab::Broker,
    plan::{Bodies, Layout, Workload},
};

/// How long it is quiet before something breaks, to compare with.
pub(crate) const QUIET: Duration = Duration::from_secs(4);

/// One drill: what is broken, and what must hold nevertheless.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drill {
    pub(crate) name: &'static str,
    /// What breaks, in a sentence.
    pub(crate) breaks: &'static str,
    /// What must hold beside what holds for all: nothing acknowledged is lost, repeated, reordered or not stored, and every
    /// publish is settled in the end.
    pub(crate) bounds: &'static [Bound],
    /// What shows that it broke: without all of these the drill proves nothing.
    pub(crate) signs: &'static [Sign],
    pub(crate) fault: Fault,
    pub(crate) load: Load,
    /// The servers' way to one another.
    pub(crate) broker: Broker,
    /// How the drill is made to fail.
    pub(crate) sabotage: Sabotage,
    /// Further flags of the servers.
    pub(crate) server_args: &'static [&'static str],
    /// Further flags of one of them.
    pub(crate) odd_server_args: &'static [&'static str],
    /// The size of the filesystem that holds the database, if it is to be small.
    pub(crate) database_bytes: Option<u64>,
}

impl Drill {
    /// Why it can't be carried out on this machine, if so.
    pub(crate) fn impossible(&self) -> Option<String> {
        self.broker.impossible().or_else(|| self.fault.impossible())
    }
}

/// How much load there is meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) rate_per_s: f64,
    /// From the first message until something breaks: [`QUIET`], and before it what warms up.
    pub(crate) quiet_before: Duration,
    /// How long the fault lasts, roughly.
    pub(crate) fault: Duration,
    /// From its planned end until the last message. What was broken must be back before.
    pub(crate) quiet_after: Duration,
    pub(crate) channels: usize,
    pub(crate) subscribers: usize,
    pub(crate) body_bytes: usize,
    /// The share of the rate with which a quick drill still shows what it is to show.
    pub(crate) quick_share: f64,
}

impl Load {
    /// Three subscribers of each channel, one on each server.
    pub(crate) const USUAL: Self = Self {
        rate_per_s: 800.0,
        quiet_before: QUIET,
        fault: Duration::from_secs(5),
        quiet_after: Duration::from_secs(8),
        channels: 50,
        subscribers: 150,
        body_bytes: 200,
        quick_share: 0.25,
    };

    /// Longer, for a broker that is slow at first, and takes long to start again.
    pub(crate) fn over(self, broker: Broker) -> Self {
        const KAFKA_STARTS_WITHIN: Duration = Duration::from_secs(15);
        let longer = if broker.is_kafka() { KAFKA_STARTS_WITHIN } else { Duration::ZERO };
        Self {
            quiet_before: self.quiet_before.max(broker.warm_up()),
            quiet_after: self.quiet_after + longer,
            ..self
        }
    }

    /// Fewer messages: enough for a test to see whether the drill works.
    fn quick(self) -> Self {
        let quiet_after = self.quiet_after.saturating_sub(Duration::from_secs(3));
        Self { rate_per_s: self.rate_per_s * self.quick_share, quiet_after, ..self }
    }

    pub(crate) fn workload(self) -> Workload {
        Workload {
            layout: Layout {
                channels: self.channels,
                subscribers: self.subscribers,
                body_bytes: Bodies::Fixed(self.body_bytes),
                ..Layout::default()
            },
            rate_per_s: self.rate_per_s,
            warm_up: self.quiet_before,
            duration: self.fault + self.quiet_after,
            ..Workload::default()
        }
    }
}
