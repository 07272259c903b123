//! Which channels: an exact name, or the beginning of one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::protocol::{ChannelName, InvalidName};

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pattern is a channel's name, the beginning of one and a star behind it, or a star alone")]
pub struct InvalidPattern;

/// A set of channels: `general` is that one, `team-*` are those that begin with `team-`, `*` are all. A star stands at
/// the end only, and nothing else has a meaning of its own, so there is no way to write more than one means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// One channel.
    Exactly(ChannelName),
    /// All channels whose names begin so.
    BeginsWith(ChannelName),
    /// All channels.
    Any,
}

impl Pattern {
    /// Whether the channel is one of the set. Letters are compared as they are.
    pub fn matches(&self, channel: &ChannelName) -> bool {
        match self {
            Self::Exactly(name) => name == channel,
            Self::BeginsWith(beginning) => channel.starts_with(&**beginning),
            Self::Any => true,
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(pattern: &str) -> Result<Self, InvalidPattern> {
        // The beginning of a name is a name: the first character has to be right, the others may be any.
        let name = |name: &str| name.parse().map_err(|InvalidName| InvalidPattern);
        match pattern.strip_suffix('*') {
            Some("") => Ok(Self::Any),
            Some(beginning) => Ok(Self::BeginsWith(name(beginning)?)),
            None => Ok(Self::Exactly(name(pattern)?)),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(pattern: String) -> Result<Self, InvalidPattern> {
        pattern.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => write!(f, "{name}"),
            Self::BeginsWith(beginning) => write!(f, "{beginning}*"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, channel: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(&channel.parse().unwrap())
    }

    #[test]
    fn a_name_is_that_channel_and_no_other() {
        assert!(matches("general", "general"));
        for other in ["genera", "general2", "General", "general-", "xgeneral"] {
            assert!(!matches("general", other), "{other}");
        }
    }

    #[test]
    fn a_star_at_the_end_stands_for_any_rest_and_for_none() {
        for channel in ["team-", "team-a", "team-a.b:c"] {
            assert!(matches("team-*", channel), "{channel}");
            assert!(matches("*", channel), "{channel}");
        }
        for channel in ["team", "teams", "Team-a", "x-team-a", "a.team-a"] {
            assert!(!matches("team-*", channel), "{channel}");
        }
    }

    #[test]
    fn what_looks_like_another_language_of_patterns_is_refused() {
        let long = "x".repeat(65);
        let patterns = [
            "",
            " ",
            "**",
            "a**",
            "*a",
            "a*b",
            "a*b*",
            "*-*",
            "a?",
            "[ab]",
            "a|b",
            "^a",
            "a.*b",
            ".*",
            "-*",
            "a/*",
            "a%2A",
            "a\\*",
            "a,b",
            "a b",
            "a\n",
            "a\0",
            "ä*",
            "te\u{430}m-*",
            "a\u{200b}*",
            "!a",
            "~a",
            &long,
        ];
        for pattern in patterns {
            assert_eq!(pattern.parse::<Pattern>(), Err(InvalidPattern), "{pattern:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_is_written_as_it_was_read(text in "[a-z0-9][a-z0-9._:-]{0,20}\\*?") {
            prop_assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }

        #[test]
        fn a_beginning_matches_exactly_what_begins_so(begin in "[ab]{1,3}", channel in "[ab]{1,5}") {
            prop_assert_eq!(matches(&format!("{begin}*"), &channel), channel.starts_with(&begin));
        }
    }
}
