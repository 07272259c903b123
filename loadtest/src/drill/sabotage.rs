//! How drills are made to fail: what they check is broken as well.

use serde_json::{Map, Value, json};

use crate::run::Survival;

/// What is broken beside the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Servers leave gaps open.
    NoHeal,
    /// They lose messages of the broker, too.
    LoseAndNoHeal,
    /// They answer publishers before the COMMIT.
    AckBeforeCommit,
    /// They do, and leave gaps open.
    AckBeforeCommitAndNoHeal,
    /// Publishers don't send again what was refused or not answered.
    NoRetries,
    /// Subscribers stay away for a second, and don't ask for what they missed.
    NoRecovery,
}

impl Sabotage {
    /// In words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoHeal => "servers leave gaps open",
            Self::LoseAndNoHeal => "servers lose a twentieth of what the broker brings, and leave gaps open",
            Self::AckBeforeCommit => "servers acknowledge before the COMMIT",
            Self::AckBeforeCommitAndNoHeal => "servers acknowledge before the COMMIT, and leave gaps open",
            Self::NoRetries => "publishers don't send again what was refused or not answered",
            Self::NoRecovery => "subscribers reconnect a second later, without asking for what they missed",
        }
    }

    /// The servers' switches.
    pub(crate) fn switches(self) -> Map<String, Value> {
        let switches = match self {
            Self::NoHeal => json!({ "no_heal": true }),
            Self::LoseAndNoHeal => json!({ "no_heal": true, "lost_share": 0.05 }),
            Self::AckBeforeCommit => json!({ "ack_before_commit": true }),
            Self::AckBeforeCommitAndNoHeal => json!({ "ack_before_commit": true, "no_heal": true }),
            Self::NoRetries | Self::NoRecovery => json!({}),
        };
        switches.as_object().cloned().unwrap_or_default()
    }

    /// What the clients do.
    pub(crate) fn survival(self) -> Survival {
        Survival::new(self != Self::NoRetries, self != Self::NoRecovery)
    }
}
