//! What the slow client does: it sleeps until the server has given it up, wakes, and catches up; again and again.

use std::time::Duration;

use hopline::protocol::CloseCode;
use serde::Serialize;
use tokio::{sync::oneshot, time::sleep};

use super::client::{Place, next_seq};
use crate::client::Client;

/// The server waits a second for the close frame to go, so that the client wakes in time to read it.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of a slow client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Stay {
    /// The codes with which it was closed; none where a connection ended without one.
    pub(crate) closed: Vec<Option<u16>>,
    /// Messages that it got live, recovered or from history.
    pub(crate) received: u64,
    /// Those that it got twice or out of order.
    pub(crate) misplaced: u64,
    /// Those that it never got.
    pub(crate) missing: u64,
}

/// A slow client at work.
#[derive(Debug)]
pub(crate) struct Sleeper {
    place: Place,
    /// The last number that it has everything up to.
    position: u64,
    stay: Stay,
}

impl Stay {
    /// Whether it was closed as it should be each time, and has everything.
    pub(crate) fn is_well(&self) -> bool {
        let is_typed = |code: &Option<u16>| *code == Some(CloseCode::SlowClient.number());
        self.closed.iter().all(is_typed) && self.misplaced == 0 && self.missing == 0
    }
}

impl Sleeper {
    /// Sleeps and wakes until told the channel's last number, then stays awake until it has everything.
    pub(crate) async fn run(place: Place, mut last: oneshot::Receiver<u64>) -> anyhow::Result<Stay> {
        let (mut client, position, _) = place.subscribe(None).await?;
        let mut sleeper = Self { place, position, stay: Stay::default() };
        let last = loop {
            let closed = sleeper.place.closed().await?;
            let told = tokio::select! {
                told = &mut last => Some(told?),
                () = sleeper.sleep(closed) => None,
            };
            if let Some(last) = told {
                break last;
            }
            sleeper.read_to_the_end(&mut client).await?;
            client = sleeper.come_back().await?;
        };
        sleeper.finish(client, last).await?;
        sleeper.stay.missing = last.saturating_sub(sleeper.position);
        Ok(sleeper.stay)
    }

    /// Returns when the server has closed one more client as slow.
    async fn sleep(&self, closed: f64) {
        while self.place.closed().await.is_ok_and(|now| now <= closed) {
            sleep(LOOK_EVERY).await;
        }
    }

    async fn read_to_the_end(&mut self, client: &mut Client) -> anyhow::Result<()> {
        loop {
            match next_seq(client).await? {
                Ok(seq) => self.enter(seq),
                Err(closed) => {
                    self.stay.closed.push(closed.code);
                    return Ok(());
                }
            }
        }
    }

    async fn come_back(&mut self) -> anyhow::Result<Client> {
        let (mut client, last_seq, recovered) = self.place.subscribe(Some(self.position)).await?;
        if recovered {
            while self.position < last_seq {
                match next_seq(&mut client).await? {
                    Ok(seq) => self.enter(seq),
                    Err(closed) => anyhow::bail!("closed while it recovered: {closed}"),
                }
            }
        } else {
            let missed = self.place.history(self.position).await?;
            missed.into_iter().filter(|seq| *seq <= last_seq).for_each(|seq| self.enter(seq));
        }
        Ok(client)
    }

    async fn finish(&mut self, mut client: Client, last: u64) -> anyhow::Result<()> {
        while self.position < last {
            match next_seq(&mut client).await? {
                Ok(seq) => self.enter(seq),
                Err(closed) => {
                    self.stay.closed.push(closed.code);
                    client = self.come_back().await?;
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, seq: u64) {
        self.stay.received += 1;
        if seq <= self.position {
            self.stay.misplaced += 1;
            return;
        }
        self.stay.misplaced += seq - self.position - 1;
        self.position = seq;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stay(closed: &[Option<u16>], misplaced: u64, missing: u64) -> Stay {
        Stay { closed: closed.to_vec(), received: 9, misplaced, missing }
    }

    #[test]
    fn it_is_well_with_the_typed_code_and_every_message() {
        assert!(stay(&[Some(4001), Some(4001)], 0, 0).is_well());
        assert!(!stay(&[Some(4001), None], 0, 0).is_well());
        assert!(!stay(&[Some(4000)], 0, 0).is_well());
        assert!(!stay(&[Some(4001)], 1, 0).is_well());
        assert!(!stay(&[Some(4001)], 0, 1).is_well());
    }
}
