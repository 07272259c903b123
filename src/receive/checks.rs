//! When positions are compared with the channels' counters, and what the comparisons say of the broker.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    config,
    telemetry::{labels::CheckTrigger, metrics::metrics},
};

/// Checks in a row that found what a broker, seemingly up, did not bring: then it is deaf.
const DEAF_CHECKS: u32 = 2;

/// The schedule of comparisons. One is under way at a time.
pub(super) struct Checks {
    config: config::Receive,
    broker_up: bool,
    under_way: bool,
    /// What called for a check while one was under way, which may have read too early.
    again: Option<CheckTrigger>,
    next_at: Instant,
    evidence: Evidence,
    deaf_in_a_row: u32,
}

/// What came since the last check that was due.
#[derive(Default)]
struct Evidence {
    /// The broker brought something.
    heard: bool,
    /// Checking found what the broker did not bring.
    found_missing: bool,
}

impl Checks {
    /// A schedule that begins now, with the broker not up yet.
    pub(super) fn new(config: config::Receive) -> Self {
        Self {
            config,
            broker_up: false,
            under_way: false,
            again: None,
            next_at: Instant::now(),
            evidence: Evidence::default(),
            deaf_in_a_row: 0,
        }
    }

    /// How long the broker may take to bring what is committed. When it is down it brings nothing.
    pub(super) fn patience(&self) -> Duration {
        if self.broker_up { self.config.gap_patience + self.config.relay_lag } else { Duration::ZERO }
    }

    pub(super) fn set_broker_up(&mut self, up: bool) {
        self.broker_up = up;
        self.deaf_in_a_row = 0;
    }

    /// When the next one is due by itself.
    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    /// Calls for a check; returns whether to read the counters now.
    pub(super) fn call(&mut self, trigger: CheckTrigger) -> bool {
        let config::Receive { check_interval, check_interval_down, .. } = self.config;
        self.next_at = Instant::now() + if self.broker_up { check_interval } else { check_interval_down };
        if self.under_way {
            self.again = Some(trigger).filter(|trigger| *trigger != CheckTrigger::Interval).or(self.again);
            return false;
        }
        metrics().position_checks.of(trigger).increment(1);
        self.under_way = true;
        true
    }

    /// The check that was called for last has been made, or failed. Returns the trigger of another one that
    /// was called for meanwhile.
    pub(super) fn done(&mut self, succeeded: bool) -> Option<CheckTrigger> {
        self.under_way = false;
        if !succeeded {
            self.next_at = self.next_at.min(Instant::now() + self.config.check_interval_down);
        }
        self.again.take()
    }

    /// The broker has brought a message.
    pub(super) fn heard(&mut self) {
        self.evidence.heard = true;
    }

    /// A check has found messages that the broker did not bring in the time that it is given.
    pub(super) fn found_missing(&mut self) {
        self.evidence.found_missing = true;
    }

    /// Whether the broker seems up and brings nothing, while the last checks kept finding messages. One that
    /// brings some is not deaf: then it is another server that can't publish. To be asked once before each
    /// check that is due by itself.
    pub(super) fn broker_is_deaf(&mut self) -> bool {
        let Evidence { heard, found_missing } = std::mem::take(&mut self.evidence);
        self.deaf_in_a_row =
            if found_missing && !heard && self.broker_up { self.deaf_in_a_row + 1 } else { 0 };
        self.deaf_in_a_row >= DEAF_CHECKS
    }
}
