//! What a subscriber notes beside its ledger.

use hopline::{hop::Origin, protocol::Timing};

use crate::clock::Clock;

/// How long a message took on its way to one subscriber, as its server told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HopSample {
    pub(crate) index: u32,
    /// The subscriber's server.
    pub(crate) server: usize,
    pub(crate) origin: Origin,
    /// None for a healed message.
    pub(crate) upstream: Option<Upstream>,
    pub(crate) receive_us: u32,
    /// When it was handed to the recipients' queues, on the run's clock as far as the server's agrees with it.
    pub(crate) handed_us: i64,
    /// When the subscriber had it.
    pub(crate) at_us: u32,
}

/// What the publisher's server told of a message.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to each name")]
pub(crate) struct Upstream {
    /// When its frame was read, on the run's clock as far as the server's agrees with it.
    pub(crate) accepted_us: i64,
    pub(crate) accept_us: u32,
    pub(crate) persist_us: u32,
    /// None where there is no outbox.
    pub(crate) outbox_us: Option<u32>,
    pub(crate) broadcast_us: u32,
}

/// How long a subscriber's return took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    /// From the beginning of the connection until it was subscribed.
    Join { at_us: u32, us: u32 },
    /// From the beginning of the connection until it had everything that it had missed.
    Recovery { at_us: u32, us: u32 },
}

impl HopSample {
    /// None if a server's clock has stepped back by more than an hour.
    pub(super) fn of(index: u32, server: usize, timing: Timing, at_us: u32, clock: Clock) -> Option<Self> {
        let between = |from: u64, to: u64| u32::try_from(to.saturating_sub(from)).ok();
        let upstream = match timing.stamps {
            Some(stamps) => Some(Upstream {
                accepted_us: clock.us_of_unix(stamps.accepted_us),
                accept_us: between(stamps.accepted_us, stamps.queued_us)?,
                persist_us: between(stamps.queued_us, stamps.committed_us)?,
                outbox_us: match stamps.published_us {
                    Some(published_us) => Some(between(stamps.committed_us, published_us)?),
                    None => None,
                },
                broadcast_us: between(stamps.publish_us(), timing.received_us)?,
            }),
            None => None,
        };
        Some(Self {
            index,
            server,
            origin: timing.origin,
            upstream,
            receive_us: between(timing.received_us, timing.handed_us)?,
            handed_us: clock.us_of_unix(timing.handed_us),
            at_us,
        })
    }
}
