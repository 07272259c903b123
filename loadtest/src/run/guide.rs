//! Where a client that outlasts the loss of its connection goes next, and what it is told to do.

use std::{future::pending, time::Duration};

use rand::RngExt;
use tokio::sync::watch;

use super::survival::{Order, Survival};

/// The pause before a try to connect, or before refused messages are sent again: it doubles up to the longest one.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// A client's guide: by number of the run's servers.
#[derive(Debug)]
pub(super) struct Guide {
    home: usize,
    server: usize,
    servers: usize,
    orders: watch::Receiver<Order>,
}

/// What an order means for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Drop the connection, and connect to [`Guide::server`].
    Reconnect,
    /// Read nothing until [`Guide::may_read`] returns.
    StopReading,
}

impl Guide {
    /// None if the run's clients are not to outlast anything.
    pub(super) fn of(survival: Option<&Survival>, home: usize, servers: usize) -> Option<Self> {
        survival.map(|survival| Self { home, server: home, servers, orders: survival.orders() })
    }

    /// Where to connect to.
    pub(super) fn server(&self) -> usize {
        self.server
    }

    /// To any other server, if there is one.
    pub(super) fn move_on(&mut self) {
        if self.servers > 1 {
            self.server = (self.server + rand::rng().random_range(1..self.servers)) % self.servers;
        }
    }

    /// Returns when an order concerns this client.
    async fn told(&mut self) -> Told {
        loop {
            if self.orders.changed().await.is_err() {
                return pending().await;
            }
            let order = *self.orders.borrow_and_update();
            if let Some(told) = self.meaning(order) {
                return told;
            }
        }
    }

    /// Returns when the order to stop reading is over.
    pub(super) async fn may_read(&mut self) {
        let _ = self.orders.wait_for(|order| *order != Order::StopReading).await;
    }

    fn meaning(&mut self, order: Order) -> Option<Told> {
        let reconnects = match order {
            Order::Storm(server) => server == self.server,
            Order::GoHome => std::mem::replace(&mut self.server, self.home) != self.home,
            Order::StopReading => return Some(Told::StopReading),
            Order::Nothing => false,
        };
        reconnects.then_some(Told::Reconnect)
    }
}

/// Returns when an order concerns this client: never, without a guide.
pub(super) async fn told(guide: &mut Option<Guide>) -> Told {
    match guide {
        Some(guide) => guide.told().await,
        None => pending().await,
    }
}

/// Pauses that grow, of which a random part is left out, so that clients don't come together.
#[derive(Debug)]
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) const fn new() -> Self {
        Self(PAUSE_MIN)
    }

    pub(super) fn next(&mut self) -> Duration {
        let longest = self.0;
        self.0 = (longest * 2).min(PAUSE_MAX);
        longest.mul_f64(rand::rng().random_range(0.5..1.0))
    }

    pub(super) fn start_over(&mut self) {
        self.0 = PAUSE_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_lost_its_server_goes_to_another_one_until_it_is_sent_home() {
        let survival = Survival::default();
        let mut guide = Guide::of(Some(&survival), 1, 3).unwrap();
        for _ in 0..100 {
            guide.move_on();
            let server = guide.server();
            assert_eq!(guide.meaning(Order::Storm(server)), Some(Told::Reconnect));
            assert_eq!(guide.meaning(Order::Storm(server + 1)), None);
        }
        (guide.server, guide.home) = (0, 2);
        assert_eq!(guide.meaning(Order::GoHome), Some(Told::Reconnect));
        assert_eq!((guide.server(), guide.meaning(Order::GoHome)), (2, None));
        let mut only = Guide::of(Some(&survival), 0, 1).unwrap();
        only.move_on();
        assert_eq!(only.server(), 0);
    }

    #[test]
    fn pauses_grow_to_a_limit_and_start_over() {
        let mut pauses = Pauses::new();
        let first = pauses.next();
        assert!(first >= PAUSE_MIN / 2 && first <= PAUSE_MIN);
        let last = (0..20).map(|_| pauses.next()).last().unwrap();
        assert!(last >= PAUSE_MAX / 2 && last <= PAUSE_MAX);
        pauses.start_over();
        assert!(pauses.next() <= PAUSE_MIN);
    }
}
