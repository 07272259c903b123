//! What shows that something broke, and when it was first seen.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use hopline::protocol::ErrorCode;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    clock::Clock,
    http::{self, ANSWER_LIMIT},
    run::Outcome,
    scrape,
};

/// How often servers are asked: no sign in their metrics is seen more exactly.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Something that shows a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sign {
    /// A server's metric rises, of the series whose labels hold the text.
    Rises(&'static str, &'static str),
    /// A server's metric falls.
    Falls(&'static str),
    /// At least so many connections of clients end.
    Losses(usize),
    /// Publishes are refused with this code.
    Refused(ErrorCode),
    /// An acknowledgement takes longer than this.
    SlowAck(Duration),
}

/// How often a sign was seen, and when first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) sign: Sign,
    pub(crate) first_us: Option<u32>,
    pub(crate) count: f64,
}

impl Sign {
    /// In words.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Rises(name, "") | Self::Falls(name) => name.to_owned(),
            Self::Rises(name, label) => format!("{name}{{{label}}}"),
            Self::Losses(_) => "connections of clients that ended".to_owned(),
            Self::Refused(code) => format!("publishes refused as {}", code.as_str()),
            Self::SlowAck(limit) => format!("acknowledgements after more than {} ms", limit.as_millis()),
        }
    }

    /// Whether so many suffice.
    pub(crate) fn is_shown_by(self, count: f64) -> bool {
        match self {
            Self::Losses(least) => count >= least as f64,
            _ => count > 0.0,
        }
    }

    /// What the clients saw of it, from a moment on.
    fn at_clients(self, outcome: &Outcome, from_us: u32) -> Seen {
        let mut at_us: Vec<u32> = match self {
            Self::Losses(_) => outcome.trouble.losses.iter().map(|loss| loss.at_us).collect(),
            Self::Refused(code) => {
                let refused = outcome.trouble.refusals.iter().filter(|refusal| refusal.code == code);
                refused.map(|refusal| refusal.at_us).collect()
            }
            Self::SlowAck(limit) => {
                let limit_us = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
                let acknowledged = outcome.evidence.records.iter().filter(|(_, it)| it.is_acknowledged());
                let slow = acknowledged.filter(|(_, it)| it.answered_us - it.sent_us > limit_us);
                slow.map(|(_, it)| it.sent_us + limit_us).collect()
            }
            Self::Rises(..) | Self::Falls(_) => Vec::new(),
        };
        at_us.retain(|at_us| *at_us >= from_us);
        Seen { sign: self, first_us: at_us.iter().min().copied(), count: at_us.len() as f64 }
    }
}

/// Follows the servers' metrics.
#[derive(Debug)]
pub(crate) struct Lookout {
    admin: Vec<SocketAddr>,
    signs: Vec<Sign>,
    clock: Clock,
    /// What changes earlier is no sign of a fault.
    from_us: u32,
    before: HashMap<(SocketAddr, usize), f64>,
    seen: Vec<Seen>,
}

impl Lookout {
    pub(crate) fn new(admin: Vec<SocketAddr>, signs: &[Sign], clock: Clock, from: Duration) -> Self {
        let unseen = |sign: &Sign| Seen { sign: *sign, first_us: None, count: 0.0 };
        let seen = signs.iter().map(unseen).collect();
        let from_us = u32::try_from(from.as_micros()).unwrap_or(u32::MAX);
        Self { admin, signs: signs.to_vec(), clock, from_us, before: HashMap::new(), seen }
    }

    /// Looks again and again. What it has seen remains when it is dropped.
    pub(crate) async fn look(&mut self) {
        if !self.signs.iter().any(|sign| matches!(sign, Sign::Rises(..) | Sign::Falls(_))) {
            return std::future::pending().await;
        }
        let http = http::client(ANSWER_LIMIT);
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for addr in self.admin.clone() {
                let asked_us = self.clock.now_us();
                if let Ok(text) = scrape::text(&http, addr).await {
                    self.compare(addr, &text, asked_us);
                }
            }
        }
    }

    /// All signs, those at the clients included, from a moment on.
    pub(crate) fn seen(self, outcome: &Outcome, from_us: u32) -> Vec<Seen> {
        let seen = self.seen.into_iter().map(|seen| match seen.sign {
            Sign::Rises(..) | Sign::Falls(_) => seen,
            sign => sign.at_clients(outcome, from_us),
        });
        seen.collect()
    }

    fn compare(&mut self, addr: SocketAddr, text: &str, asked_us: u32) {
        for (number, sign) in self.signs.iter().enumerate() {
            let (name, label, rises) = match *sign {
                Sign::Rises(name, label) => (name, label, true),
                Sign::Falls(name) => (name, "", false),
                _ => continue,
            };
            let now = scrape::of_text(text, name, label);
            let Some(before) = self.before.insert((addr, number), now) else {
                continue;
            };
            // A server that was started again counts from zero.
            let change = match rises {
                true if now < before => now,
                true => now - before,
                false => before - now,
            };
            if change > 0.0 && asked_us >= self.from_us {
                let seen = &mut self.seen[number];
                seen.first_us.get_or_insert(asked_us);
                seen.count += change;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_starts_again_has_risen_by_what_it_shows() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let signs = [Sign::Rises("losses", "closed"), Sign::Falls("up")];
        let mut lookout =
            Lookout::new(vec![addr], &signs, Clock::starting_in(Duration::ZERO), Duration::from_micros(2));
        for (at_us, losses, up) in [(0, 1, 1), (1, 3, 1), (2, 3, 1), (3, 5, 0), (4, 1, 1)] {
            lookout.compare(addr, &format!("losses{{reason=\"closed\"}} {losses}\nup {up}\n"), at_us);
        }
        let seen: Vec<_> = lookout.seen.iter().map(|seen| (seen.first_us, seen.count)).collect();
        assert_eq!(seen, [(Some(3), 3.0), (Some(3), 1.0)]);
    }
}
