//! Numbers in a range. The ranges of flags and files stand here.

use std::str::FromStr;

use serde::Deserialize;

/// The longest run, in seconds, without its warm-up.
pub(super) const SECONDS_MAX: u64 = 3_000;

/// A whole number in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    pub(super) fn get(self) -> u64 {
        self.0
    }

    pub(super) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> TryFrom<u64> for Whole<MIN, MAX> {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        let is_within = (MIN..=MAX).contains(&number);
        is_within.then_some(Self(number)).ok_or_else(|| format!("it is a number from {MIN} to {MAX}"))
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Whole<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: u64 = text.parse().map_err(|_| format!("it is a number from {MIN} to {MAX}"))?;
        number.try_into()
    }
}

/// Makes a type of numbers in a range.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $min:literal ..= $max:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
        #[serde(try_from = "f64")]
        pub(crate) struct $name(pub(crate) f64);

        impl TryFrom<f64> for $name {
            type Error = &'static str;

            fn try_from(number: f64) -> Result<Self, Self::Error> {
                let is_within = ($min..=$max).contains(&number);
                is_within.then_some(Self(number)).ok_or($what)
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse::<f64>().map_err(|_| $what)?.try_into()
            }
        }
    };
}

number!(
    /// Messages a second.
    Rate, 1.0..=100_000.0, "a rate is a number from 1 to 100000"
);
number!(
    /// A part of a whole.
    Share, 0.0..=1.0, "a share is a number from 0 to 1"
);
number!(
    /// Zipf's exponent.
    Exponent, 0.01..=10.0, "an exponent is a number from 0.01 to 10"
);
number!(
    /// A length of time.
    Seconds, 0.1..=3_000.0, "a number of seconds is one from 0.1 to 3000"
);
