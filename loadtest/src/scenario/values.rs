//! The values of a workload, as files and flags spell them. A range stands here only, for both.

use std::str::FromStr;

use serde::Deserialize;

use super::numbers::{Exponent, Rate, SECONDS_MAX, Seconds, Share};
use crate::{
    identity::BODY_BYTES_MIN,
    plan::{Bodies, Churn, Popularity, Range, Reconnect, Step},
};

const BODY_BYTES_MAX: usize = 65_536;

/// `uniform`, `zipf:EXPONENT` or `hot:SHARE`; in a file `"uniform"`, `{ zipf = … }` or `{ hot_share = … }`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PopularityValue {
    Uniform,
    Zipf(Exponent),
    HotShare(Share),
}

impl FromStr for PopularityValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "uniform" => Ok(Self::Uniform),
            Some(("zipf", exponent)) => Ok(Self::Zipf(exponent.parse()?)),
            Some(("hot", share)) => Ok(Self::HotShare(share.parse()?)),
            _ => Err("it is uniform, zipf:EXPONENT or hot:SHARE".to_owned()),
        }
    }
}

impl From<PopularityValue> for Popularity {
    fn from(value: PopularityValue) -> Self {
        match value {
            PopularityValue::Uniform => Self::Uniform,
            PopularityValue::Zipf(exponent) => Self::Zipf(exponent.0),
            PopularityValue::HotShare(share) => Self::HotShare(share.0),
        }
    }
}

/// `BYTES` or `MIN-MAX`; in a file a number or `{ min = …, max = … }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BodiesText")]
pub(crate) struct BodiesValue(pub(super) Bodies);

#[derive(Deserialize)]
#[serde(untagged, expecting = "it is a number of bytes, or { min = …, max = … }")]
enum BodiesText {
    Fixed(usize),
    Range(RangeText),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeText {
    min: usize,
    max: usize,
}

impl TryFrom<BodiesText> for BodiesValue {
    type Error = String;

    fn try_from(text: BodiesText) -> Result<Self, String> {
        let bodies = match text {
            BodiesText::Fixed(bytes) => Bodies::Fixed(bytes),
            BodiesText::Range(RangeText { min, max }) => Bodies::Range(Range { min, max }),
        };
        if bodies.min() < BODY_BYTES_MIN || bodies.max() > BODY_BYTES_MAX || bodies.min() > bodies.max() {
            return Err(format!("a text has {BODY_BYTES_MIN} to {BODY_BYTES_MAX} bytes"));
        }
        Ok(Self(bodies))
    }
}

impl FromStr for BodiesValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| "it is BYTES or MIN-MAX".to_owned());
        match text.split_once('-') {
            None => BodiesText::Fixed(number(text)?),
            Some((min, max)) => BodiesText::Range(RangeText { min: number(min)?, max: number(max)? }),
        }
        .try_into()
    }
}

/// `SHARE:SECONDS`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReconnectValue {
    share: Share,
    every_s: Seconds,
}

impl FromStr for ReconnectValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').ok_or("it is SHARE:SECONDS")?;
        Ok(Self { share: parts.0.parse()?, every_s: parts.1.parse()? })
    }
}

impl From<ReconnectValue> for Reconnect {
    fn from(value: ReconnectValue) -> Self {
        Self { share: value.share.0, every_s: value.every_s.0 }
    }
}

/// `SHARE:STAY:AWAY`, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChurnValue {
    share: Share,
    stay_s: Seconds,
    away_s: Seconds,
}

impl FromStr for ChurnValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let [share, stay, away] = parts[..] else {
            return Err("it is SHARE:STAY:AWAY, in seconds".to_owned());
        };
        Ok(Self { share: share.parse()?, stay_s: stay.parse()?, away_s: away.parse()? })
    }
}

impl From<ChurnValue> for Churn {
    fn from(value: ChurnValue) -> Self {
        Self { share: value.share.0, stay_s: value.stay_s.0, away_s: value.away_s.0 }
    }
}

/// `RATE:SECONDS,…`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Vec<StepText>")]
pub(crate) struct Steps(pub(super) Vec<Step>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    rate_per_s: Rate,
    seconds: Seconds,
}

impl Steps {
    pub(super) fn seconds(&self) -> f64 {
        self.0.iter().map(|step| step.seconds).sum()
    }
}

impl TryFrom<Vec<StepText>> for Steps {
    type Error = String;

    fn try_from(texts: Vec<StepText>) -> Result<Self, String> {
        let step = |text: StepText| Step { rate_per_s: text.rate_per_s.0, seconds: text.seconds.0 };
        let steps = Self(texts.into_iter().map(step).collect());
        match steps.seconds() {
            seconds if seconds > SECONDS_MAX as f64 => {
                Err(format!("steps last {SECONDS_MAX} s at most, together"))
            }
            seconds if seconds < 1.0 => Err("steps last a second at least, together".to_owned()),
            _ => Ok(steps),
        }
    }
}

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let step = |text: &str| {
            let (rate, seconds) = text.split_once(':').ok_or("it is RATE:SECONDS,…")?;
            Ok(StepText { rate_per_s: rate.parse()?, seconds: seconds.parse()? })
        };
        let texts: Result<Vec<_>, String> = text.split(',').map(step).collect();
        texts?.try_into()
    }
}
