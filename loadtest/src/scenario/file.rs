//! A scenario's file.

use std::fs;

use serde::Deserialize;

use super::{
    numbers::{Rate, SECONDS_MAX, Whole},
    values::{BodiesValue, ChurnValue, PopularityValue, ReconnectValue, Steps},
};
use crate::plan::Spread;

/// A workload in a file; what it leaves out is as the flags' defaults have it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(super) rate_per_s: Option<Rate>,
    #[serde(rename = "step")]
    pub(super) steps: Option<Steps>,
    pub(super) duration_s: Option<Whole<1, SECONDS_MAX>>,
    pub(super) warm_up_s: Option<Whole<0, 600>>,
    pub(super) channels: Option<Whole<1, 10_000>>,
    pub(super) popularity: Option<PopularityValue>,
    pub(super) publishers: Option<Whole<1, 10_000>>,
    pub(super) subscribers: Option<Whole<1, 20_000>>,
    pub(super) spread: Option<Spread>,
    pub(super) reconnect: Option<ReconnectValue>,
    pub(super) churn: Option<ChurnValue>,
    pub(super) body_bytes: Option<BodiesValue>,
    pub(super) seed: Option<u64>,
}

impl Scenario {
    /// An error shows the line that it is about.
    pub(super) fn load(path: &str) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    /// Reads a scenario's text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if scenario.rate_per_s.is_some() && scenario.steps.is_some() {
            return Err("`rate_per_s` and `[[step]]` exclude one another".to_owned());
        }
        Ok(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused(text: &str, said: &[&str]) {
        let error = Scenario::parse(text).expect_err(text);
        for part in said {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }

    #[test]
    fn mistakes_are_shown_with_their_line_and_key() {
        assert_refused("seed = 1\nrats = 5", &["line 2", "rats", "unknown field"]);
        assert_refused("rate_per_s = 0", &["line 1", "rate_per_s", "from 1 to 100000"]);
        assert_refused("\n\nchannels = 10_001", &["line 3", "channels", "from 1 to 10000"]);
        assert_refused("duration_s = 2.5", &["line 1", "duration_s"]);
        assert_refused("popularity = { zipf = 0 }", &["line 1", "zipf", "exponent"]);
        assert_refused("popularity = \"cold\"", &["line 1", "cold", "uniform"]);
        assert_refused("spread = \"some\"", &["line 1", "some", "one_server"]);
        assert_refused("body_bytes = 3", &["line 1", "16 to 65536"]);
        assert_refused("body_bytes = { min = 100, max = 50 }", &["line 1", "16 to 65536"]);
        assert_refused("body_bytes = \"much\"", &["line 1", "{ min = …, max = … }"]);
        assert_refused("seed = 1\n[reconnect]\nshare = 2\nevery_s = 1", &["line 3", "share"]);
        assert_refused("[churn]\nshare = 1\nstay_s = 1", &["churn", "away_s"]);
        assert_refused("[[step]]\nrate_per_s = 5\nsecs = 1", &["line 3", "secs"]);
        assert_refused("[[step]]\nrate_per_s = 5\nseconds = 0.5", &["a second at least"]);
        assert_refused("rate_per_s = 5\n[[step]]\nrate_per_s = 5\nseconds = 2", &["exclude"]);
    }
}
