//! Clients that come and go, and look at everything that they get.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{body::Bytes, extract::ws};
use hopline::protocol::{ChannelName, ClientFrame, ErrorCode, Message, SenderName, ServerFrame};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{cluster::Cluster, database::Database, log::Log, socket::ClientEnd};

/// One that is subscribed to one channel most of the time, wherever it is connected.
pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) channel: ChannelName,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) log: Arc<Log>,
    pub(crate) random: StdRng,
    /// The last number that it has; none before its first subscription.
    pub(crate) have: Arc<Mutex<Option<u64>>>,
    /// Whether clients stay where they are from now on.
    pub(crate) calm: watch::Receiver<bool>,
}

/// Where a client stands with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscription {
    None,
    Asked,
    Stands,
    /// Told to end; what is under way still comes.
    Ending,
}

/// Why a connection is over.
enum Left {
    Gone,
    Violation,
}

impl Client {
    pub(crate) fn new(
        (number, channel, seed): (usize, ChannelName, u64),
        cluster: Arc<Cluster>,
        log: Arc<Log>,
        calm: watch::Receiver<bool>,
    ) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { number, channel, cluster, log, random, have: Arc::default(), calm }
    }

    /// Lives until something is wrong.
    pub(crate) async fn live(mut self) {
        let sender: SenderName = format!("client-{}", self.number).parse().unwrap();
        loop {
            let server = self.random.random_range(0..self.cluster.size());
            self.say(&format!("connects to server {server}"));
            let mut end = self.cluster.connect(server, &sender);
            match self.stay(&mut end).await {
                Left::Violation => return,
                Left::Gone => self.say("is disconnected"),
            }
            drop(end);
            sleep(self.some_ms(0..300)).await;
        }
    }

    fn say(&self, what: &str) {
        self.log.add(format!("client {} {what}", self.number));
    }

    fn some_ms(&mut self, ms: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(ms))
    }

    async fn stay(&mut self, end: &mut ClientEnd) -> Left {
        let mut subscription = Subscription::None;
        let mut act_at = Instant::now();
        loop {
            // A client that reads slowly.
            if !*self.calm.borrow() && self.random.random_ratio(1, 40) {
                sleep(self.some_ms(0..400)).await;
            }
            tokio::select! {
                frame = end.incoming.recv() => match frame {
                    Some(ws::Message::Text(text)) => {
                        let frame = serde_json::from_str(&text).expect("servers send frames");
                        if self.on_frame(frame, &mut subscription).is_none() {
                            return Left::Violation;
                        }
                    }
                    Some(ws::Message::Ping(_)) => {
                        let _ = end.outgoing.send(ws::Message::Pong(Bytes::new())).await;
                    }
                    Some(ws::Message::Close(Some(close))) => {
                        self.say(&format!("is closed as {}", close.reason));
                        return Left::Gone;
                    }
                    None => return Left::Gone,
                    Some(_) => {}
                },
                () = sleep_until(act_at) => {
                    if self.act(end, &mut subscription).await.is_none() {
                        return Left::Gone;
                    }
                    act_at = Instant::now() + self.some_ms(50..2_000);
                }
            }
        }
    }

    /// Subscribes where it is not subscribed; otherwise perhaps leaves, in one way or the other.
    async fn act(&mut self, end: &ClientEnd, subscription: &mut Subscription) -> Option<()> {
        let is_calm = *self.calm.borrow();
        let channel = self.channel.to_string();
        let (frame, next) = match *subscription {
            Subscription::None => {
                let (after_seq, timing) = (*self.have.lock().unwrap(), self.random.random());
                (ClientFrame::Subscribe { channel, after_seq, timing }, Subscription::Asked)
            }
            Subscription::Stands if !is_calm && self.random.random_ratio(1, 3) => {
                (ClientFrame::Unsubscribe { channel }, Subscription::Ending)
            }
            _ if !is_calm && self.random.random_ratio(1, 5) => return None,
            _ => return Some(()),
        };
        *subscription = next;
        let text = serde_json::to_string(&frame).unwrap();
        end.outgoing.send(ws::Message::Text(text.into())).await.ok()
    }

    /// Nothing is returned when the frame must not have come.
    fn on_frame(&self, frame: ServerFrame, subscription: &mut Subscription) -> Option<()> {
        let here = *subscription;
        match frame {
            ServerFrame::Subscribed { last_seq, recovered, .. } if here == Subscription::Asked => {
                *subscription = Subscription::Stands;
                self.on_subscribed(last_seq, recovered);
            }
            ServerFrame::Unsubscribed { .. } if here == Subscription::Ending => {
                *subscription = Subscription::None;
            }
            ServerFrame::Message(message) if matches!(here, Subscription::Stands | Subscription::Ending) => {
                self.on_message(message)?;
            }
            ServerFrame::Error(error)
                if here == Subscription::Asked && error.code == ErrorCode::Unavailable =>
            {
                *subscription = Subscription::None;
            }
            ServerFrame::Hello { .. } => {}
            unexpected => {
                return self.violate("a frame came that must not", &format!("{unexpected:?} in {here:?}"));
            }
        }
        Some(())
    }

    fn on_subscribed(&self, last_seq: u64, recovered: bool) {
        self.say(&format!("is subscribed behind {last_seq}, recovered: {recovered}"));
        let have = &mut *self.have.lock().unwrap();
        // The rest of a longer gap is read page by page, over HTTP.
        if have.is_none() || !recovered {
            *have = Some(last_seq);
        }
    }

    fn on_message(&self, message: Message) -> Option<()> {
        let origin = message.timing.map(|timing| timing.origin.as_str());
        self.say(&format!("gets {} from {}", message.seq, origin.unwrap_or("somewhere")));
        let have = &mut *self.have.lock().unwrap();
        let database: &Database = &self.cluster.database;
        let expected = database.next_after(&self.channel, have.expect("it is subscribed"));
        let Some(expected) = expected.filter(|expected| expected.seq == message.seq) else {
            return self
                .violate("a message is missing or repeated", &format!("{} after {have:?}", message.seq));
        };
        if (Message { timing: None, ..message }) != expected {
            return self.violate("a message is not the one that was committed", &format!("{expected:?}"));
        }
        *have = Some(expected.seq);
        Some(())
    }

    fn violate(&self, what: &'static str, details: &str) -> Option<()> {
        self.log.violate(what, format!("client {}: {details}", self.number));
        None
    }
}
