//! Before, during and after the overload.

use std::{ops::Range, time::Duration};

use super::{OverloadArgs, SECOND_US};
use crate::plan::{Layout, Step, Workload};

/// Messages that are due before this count for nothing but the audit.
const WARM_UP: Duration = Duration::from_secs(3);

/// A part of a run, in microseconds of its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) us: Range<u32>,
}

/// All parts, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Phases {
    pub(crate) before: Phase,
    pub(crate) during: Phase,
    pub(crate) after: Phase,
}

impl Phase {
    fn lasting(from_us: u32, seconds: u32) -> Self {
        Self { us: from_us..from_us + seconds * SECOND_US }
    }

    /// Its seconds, one by one.
    pub(super) fn seconds(&self) -> impl Iterator<Item = Range<u32>> {
        let end = self.us.end;
        self.us.clone().step_by(SECOND_US as usize).map(move |from| from..(from + SECOND_US).min(end))
    }
}

impl From<&OverloadArgs> for Phases {
    fn from(args: &OverloadArgs) -> Self {
        let warm_up_us = u32::try_from(WARM_UP.as_micros()).unwrap_or(u32::MAX);
        let before = Phase::lasting(warm_up_us, args.quiet);
        let during = Phase::lasting(before.us.end, args.duration);
        let after = Phase::lasting(during.us.end, args.quiet);
        Self { before, during, after }
    }
}

impl From<&OverloadArgs> for Workload {
    fn from(args: &OverloadArgs) -> Self {
        let step = |rate_per_s, seconds: u32| Step { rate_per_s, seconds: f64::from(seconds) };
        Self {
            layout: Layout::from(&args.layout),
            rate_per_s: args.quiet_rate,
            steps: vec![
                step(args.quiet_rate, args.quiet),
                step(args.rate, args.duration),
                step(args.quiet_rate, args.quiet),
            ],
            warm_up: WARM_UP,
            duration: Duration::from_secs(u64::from(args.quiet * 2 + args.duration)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_cut_into_its_seconds() {
        let phase = Phase::lasting(500, 3);
        let seconds: Vec<_> = phase.seconds().collect();
        assert_eq!(seconds.len(), 3);
        assert_eq!((seconds[0].start, seconds[2].end), (phase.us.start, phase.us.end));
    }
}
