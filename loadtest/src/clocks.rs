//! Whether the servers' clocks agree with the generator's. Figures that compare two clocks depend on it.
//!
//! As NTP does (RFC 5905, section 8): of all frames the fastest one up and the fastest one down were delayed least, and
//! half of their difference is the clocks' offset, give or take half of their sum.

use serde::Serialize;

use crate::run::Outcome;

/// Clocks that are further apart than their measurement explains, by more than this, don't agree: half of the
/// tightest claim.
const APART_MS_MAX: f64 = 0.5;
const US_PER_MS: f64 = 1_000.0;

/// A server's clock, compared with the generator's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ServerClock {
    /// The server's name or address.
    pub(crate) server: String,
    /// How far it is ahead; negative if it is behind.
    pub(crate) ahead_ms: f64,
    /// By how much that may be wrong.
    pub(crate) uncertainty_ms: f64,
}

impl ServerClock {
    /// Whether it certainly shows another time.
    pub(crate) fn is_apart(&self) -> bool {
        self.ahead_ms.abs() > self.uncertainty_ms + APART_MS_MAX
    }

    /// What that means.
    fn note(&self) -> String {
        let Self { server, ahead_ms, uncertainty_ms } = self;
        let side = if *ahead_ms < 0.0 { "behind" } else { "ahead of" };
        format!(
            "the clock of server {server} is {:.1} ms {side} the generator's (± {uncertainty_ms:.1} ms): broadcast with \
             origin peer, drain and send_and_drain compare two clocks and can't be trusted. Broadcast with origin self \
             and total are of one clock",
            ahead_ms.abs()
        )
    }
}

/// What the clocks that don't agree mean for the figures.
pub(crate) fn notes(clocks: &[ServerClock]) -> Vec<String> {
    clocks.iter().filter(|clock| clock.is_apart()).map(ServerClock::note).collect()
}

/// Compares the clocks of these servers, as far as frames went to them and came from them.
pub(crate) fn compare(outcome: &Outcome, servers: &[String]) -> Vec<ServerClock> {
    let mut fastest = vec![Fastest::default(); servers.len()];
    for sample in &outcome.samples {
        let Some(record) = outcome.evidence.records.get(sample.index) else { continue };
        if let Some(upstream) = sample.upstream {
            let publisher = sample.index as usize % outcome.evidence.records.0.len().max(1);
            let server = crate::plan::Layout::publishers_server(publisher, servers.len());
            fastest[server].up(upstream.accepted_us - i64::from(record.sent_us));
        }
        fastest[sample.server].down(i64::from(sample.at_us) - sample.handed_us);
    }
    servers.iter().zip(fastest).filter_map(|(server, fastest)| fastest.clock(server)).collect()
}

/// The least that a frame took each way, by two clocks, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Fastest {
    up_us: Option<i64>,
    down_us: Option<i64>,
}

impl Fastest {
    fn up(&mut self, us: i64) {
        self.up_us = Some(self.up_us.map_or(us, |least| least.min(us)));
    }

    fn down(&mut self, us: i64) {
        self.down_us = Some(self.down_us.map_or(us, |least| least.min(us)));
    }

    fn clock(self, server: &str) -> Option<ServerClock> {
        let (up_us, down_us) = self.up_us.zip(self.down_us)?;
        let half_ms = |us: i64| us as f64 / 2.0 / US_PER_MS;
        Some(ServerClock {
            server: server.to_owned(),
            ahead_ms: half_ms(up_us - down_us),
            uncertainty_ms: half_ms(up_us + down_us),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(frames_us: &[(i64, i64)]) -> ServerClock {
        let mut fastest = Fastest::default();
        for (up_us, down_us) in frames_us {
            fastest.up(*up_us);
            fastest.down(*down_us);
        }
        fastest.clock("b").unwrap()
    }

    #[test]
    fn a_clock_that_agrees_is_within_what_frames_take() {
        let clock = clock(&[(3_000, 70), (130, 900)]);
        assert_eq!((clock.ahead_ms, clock.uncertainty_ms), (0.03, 0.1));
        assert!(!clock.is_apart());
    }

    #[test]
    fn a_clock_that_is_ahead_or_behind_is_told_apart_however_long_frames_take() {
        for shift_us in [-50_000, 50_000] {
            let clock = clock(&[(4_000 + shift_us, 3_000 - shift_us)]);
            assert!(clock.is_apart());
            assert!((clock.ahead_ms - shift_us as f64 / 1_000.0).abs() <= clock.uncertainty_ms, "{clock:?}");
        }
        assert!(!clock(&[(14_000, 6_000)]).is_apart(), "a slow way up alone explains it");
    }

    #[test]
    fn without_frames_both_ways_nothing_is_said() {
        let mut fastest = Fastest::default();
        fastest.up(1);
        assert_eq!(fastest.clock("b"), None);
    }
}
