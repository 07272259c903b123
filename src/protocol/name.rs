//! Names that clients choose: of channels and of senders.

use std::{fmt, ops::Deref, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const NAME_MAX_BYTES: usize = 64;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to {NAME_MAX_BYTES} characters out of A-Z a-z 0-9 . _ : - and starts with a letter or digit"
)]
pub struct InvalidName;

fn check(name: &str) -> Result<(), InvalidName> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if starts_well && name.len() <= NAME_MAX_BYTES && name.bytes().all(legal) {
        Ok(())
    } else {
        Err(InvalidName)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                check(name)?;
                Ok(Self(name.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(name: String) -> Result<Self, InvalidName> {
                name.parse()
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// The name of a channel. A channel exists from its first publish; only a malformed name is an error.
    ChannelName
}

name! {
    /// Who published a message.
    SenderName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_plain_alphabet_are_accepted() {
        for name in ["a", "0", "general", "team.dev-2_x:y", &"x".repeat(NAME_MAX_BYTES)] {
            assert_eq!(&*name.parse::<ChannelName>().unwrap(), name);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let too_long = "x".repeat(NAME_MAX_BYTES + 1);
        for name in ["", " ", ".a", "-", "a b", "a/b", "ä", "a\0", "a\n", "а", "*", &too_long] {
            assert_eq!(name.parse::<ChannelName>(), Err(InvalidName), "{name:?}");
        }
    }
}
