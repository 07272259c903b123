//! The vocabulary: one name for each hop of a message, used in code, metrics, spans, reports and documents.

mod bounds;

use serde::{Deserialize, Serialize};

pub use bounds::BOUNDS_SECONDS;

/// A stretch of a message's way from one client to another.
///
/// [`Hop::CRITICAL_PATH`] lists those that follow one another; `publish` is a side branch that
/// overlaps `broadcast`, and `total` spans them all. `outbox` is passed only where a relay feeds the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// From the frame read off the socket until it is parsed, authorised and queued for PostgreSQL.
    Accept,
    /// From there until its transaction has committed and its sequence number is known.
    Persist,
    /// From the insert of its row, by PostgreSQL's clock and a little before the commit, until the relay hands it to the broker
    /// client. Without an outbox that is the moment of the commit.
    Outbox,
    /// From there until the broker has acknowledged the publish.
    Publish,
    /// From where the publish begins until a server's subscriber has the message: one figure a server.
    Broadcast,
    /// From there until it is in order and its hand-over to the local recipients' queues begins.
    Receive,
    /// From there until it is written to a recipient's socket: first, median and last are three figures.
    Send,
    /// From the moment at which the client intended to send until another client has it.
    Total,
}

impl Hop {
    /// Every hop, in the order of the path.
    pub const ALL: [Self; 8] = [
        Self::Accept,
        Self::Persist,
        Self::Outbox,
        Self::Publish,
        Self::Broadcast,
        Self::Receive,
        Self::Send,
        Self::Total,
    ];

    /// The hops whose durations add up to `total`, each starting where the last one ended; `outbox` overlaps the end of `persist`.
    pub const CRITICAL_PATH: [Self; 6] =
        [Self::Accept, Self::Persist, Self::Outbox, Self::Broadcast, Self::Receive, Self::Send];

    /// The hop's name, as it is spelled everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Persist => "persist",
            Self::Outbox => "outbox",
            Self::Publish => "publish",
            Self::Broadcast => "broadcast",
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Total => "total",
        }
    }
}

/// Where a server got a message from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// From the broker, published by this very server: `broadcast` is measured on one clock.
    #[serde(rename = "self")]
    Own,
    /// From the broker, published by another server: `broadcast` is as good as the two clocks agree.
    Peer,
    /// From PostgreSQL, because the broker lost it or was late: there was no `broadcast`.
    Healed,
}

impl Origin {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Peer => "peer",
            Self::Healed => "healed",
        }
    }
}

/// Which recipient of a fan-out a `send` figure speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// The first one whose socket took the frame.
    First,
    /// The one in the middle; of an even number, the earlier of the two.
    Median,
    /// The last one.
    Last,
}

impl Recipient {
    /// All three figures.
    pub const ALL: [Self; 3] = [Self::First, Self::Median, Self::Last];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Median => "median",
            Self::Last => "last",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BOUNDS_SECONDS;

    #[test]
    fn neighbouring_bounds_lie_at_most_a_quarter_apart_from_10_us_to_10_s() {
        for pair in BOUNDS_SECONDS.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] / pair[0] <= 1.2501, "{pair:?}");
        }
        assert_eq!((BOUNDS_SECONDS[0], BOUNDS_SECONDS[BOUNDS_SECONDS.len() - 1]), (1e-5, 10.0));
    }
}
