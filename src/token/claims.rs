//! What a token says.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::Pattern;
use crate::protocol::{ChannelName, SenderName};

/// The most patterns that a token may have for reading, and for writing.
pub const PATTERNS_MAX: usize = 100;

/// Why claims can't stand in a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at most {PATTERNS_MAX} patterns for reading and as many for writing")]
pub struct InvalidClaims;

/// Who the bearer is and what it may do. Without patterns it may do nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued the token.
    pub iss: String,
    /// Whom it is for; one of several will do.
    #[serde(deserialize_with = "one_or_more")]
    pub aud: Vec<String>,
    /// The sender's name.
    pub sub: SenderName,
    /// When it ends: Unix time, in seconds.
    pub exp: u64,
    /// When it begins, if it does not hold already: Unix time, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The channels whose messages it may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "patterns")]
    pub read: Vec<Pattern>,
    /// The channels that it may publish to.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "patterns")]
    pub write: Vec<Pattern>,
}

impl Claims {
    /// Whether it may have the channel's messages.
    pub fn may_read(&self, channel: &ChannelName) -> bool {
        self.read.iter().any(|pattern| pattern.matches(channel))
    }

    /// Whether it may publish to the channel.
    pub fn may_write(&self, channel: &ChannelName) -> bool {
        self.write.iter().any(|pattern| pattern.matches(channel))
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    Ok(match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(more) => more,
    })
}

fn patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    let patterns = Vec::deserialize(deserializer)?;
    if patterns.len() <= PATTERNS_MAX { Ok(patterns) } else { Err(D::Error::custom(InvalidClaims)) }
}
