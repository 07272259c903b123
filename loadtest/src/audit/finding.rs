//! What the audit can find.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Examples that are kept of what was found; all are counted.
pub(crate) const EXAMPLES_MAX: usize = 20;

/// Something that must not happen to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Acknowledged or stored, and not delivered to a subscriber.
    Lost,
    /// Delivered to a subscriber, or stored, more than once.
    Duplicated,
    /// Delivered after a later one; or numbered before one that its publisher had sent earlier.
    Reordered,
    /// Acknowledged, and not in the channel's history.
    Unstored,
    /// Another message than the acknowledged one, a changed text, an unknown message, or one that was refused.
    Corrupted,
    /// A sequence number that the channel's history leaves out.
    Skipped,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 6] =
        [Self::Lost, Self::Duplicated, Self::Reordered, Self::Unstored, Self::Corrupted, Self::Skipped];

    /// The kind's name, as reports and the budget spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Unstored => "unstored",
            Self::Corrupted => "corrupted",
            Self::Skipped => "skipped",
        }
    }
}

/// Where something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// At this subscriber.
    Subscriber(usize),
    /// In what this publisher was told.
    Publisher(usize),
    /// In the channel's history.
    History,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscriber(number) => write!(f, "subscriber {number}"),
            Self::Publisher(number) => write!(f, "publisher {number}"),
            Self::History => f.write_str("history"),
        }
    }
}

/// One example of what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What it is.
    pub(crate) kind: Kind,
    /// The message's channel.
    pub(crate) channel: String,
    /// The message's sequence number, where it is known.
    pub(crate) seq: Option<u64>,
    /// Where it was found.
    pub(crate) place: Place,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.kind.as_str(), self.channel)?;
        if let Some(seq) = self.seq {
            write!(f, ", seq {seq}")?;
        }
        write!(f, " ({})", self.place)
    }
}
