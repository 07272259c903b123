//! A broker that loses, repeats and reorders, and whose links to servers break or go deaf.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use hopline::{
    broker::{Broker, BrokerEvent, Envelope, Incoming, PublishError},
    clock,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{sync::mpsc, time::sleep};

use crate::seed::Broken;

/// Messages that may wait for a server.
const EVENTS_MAX: usize = 32;

/// How bad a broker is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// The share of messages that a server does not get.
    pub(crate) lost: f64,
    /// The share that it gets once more.
    pub(crate) repeated: f64,
    /// How long a message may be under way: those with less overtake the others.
    pub(crate) delay_ms_max: u64,
}

pub(crate) struct Network {
    links: Mutex<Vec<Link>>,
    random: Mutex<StdRng>,
    weather: Mutex<Weather>,
    broken: Broken,
}

struct Link {
    events: mpsc::Sender<BrokerEvent>,
    state: LinkState,
    /// Messages were dropped because the server was behind.
    overflowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    Up,
    Down,
    /// It seems up and brings nothing.
    Deaf,
}

impl Network {
    pub(crate) fn new(seed: u64, weather: Weather, broken: Broken) -> Self {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        Self { links: Mutex::default(), random, weather: Mutex::new(weather), broken }
    }

    fn links(&self) -> MutexGuard<'_, Vec<Link>> {
        self.links.lock().unwrap()
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    /// Connects a server, or one that was started anew.
    pub(crate) fn link(&self, server: usize) -> mpsc::Receiver<BrokerEvent> {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let link = Link { events, state: LinkState::Down, overflowed: false };
        let links = &mut *self.links();
        if server == links.len() {
            links.push(link);
        } else {
            links[server] = link;
        }
        receiver
    }

    pub(crate) fn state(&self, server: usize) -> LinkState {
        self.links()[server].state
    }

    /// The server is not told of a link that goes deaf.
    pub(crate) async fn set_state(&self, server: usize, state: LinkState) {
        let events = self.links()[server].events.clone();
        match state {
            LinkState::Up => {
                self.links()[server].state = state;
                let _ = events.send(BrokerEvent::Restored).await;
            }
            LinkState::Down => {
                self.links()[server].state = state;
                let _ = events.send(BrokerEvent::Lost).await;
            }
            LinkState::Deaf => self.links()[server].state = state,
        }
    }

    /// As the read loop of a connection to Redis.
    fn bring(&self, server: usize, payload: Vec<u8>) {
        let link = &mut self.links()[server];
        if link.state == LinkState::Up {
            let after_overflow = link.overflowed;
            let incoming = Incoming { payload, received_us: clock::now_us(), after_overflow };
            link.overflowed = link.events.try_send(BrokerEvent::Message(incoming)).is_err();
        }
    }

    /// When a server gets a message, and perhaps gets it again.
    fn arrivals(&self) -> Vec<Duration> {
        let (random, weather) = (&mut *self.random.lock().unwrap(), *self.weather.lock().unwrap());
        let arrives = !random.random_bool(weather.lost);
        let repeated = random.random_bool(weather.repeated);
        (0..u8::from(arrives) + u8::from(repeated))
            .map(|_| Duration::from_millis(random.random_range(0..=weather.delay_ms_max)))
            .collect()
    }

    fn publish(self: &Arc<Self>, envelope: &Envelope) {
        let mut envelope = envelope.clone();
        if self.broken == Broken::Numbers && envelope.message.seq.is_multiple_of(10) {
            envelope.message.body.push('!');
        }
        for server in 0..self.links().len() {
            for delay in self.arrivals() {
                let (network, payload) = (self.clone(), envelope.encode());
                tokio::spawn(async move {
                    sleep(delay).await;
                    network.bring(server, payload);
                });
            }
        }
    }
}

/// One server's side of the broker.
pub(crate) struct ServerLink {
    pub(crate) network: Arc<Network>,
    pub(crate) server: usize,
}

#[async_trait]
impl Broker for ServerLink {
    async fn publish(&self, batch: &[Envelope]) -> Result<(), PublishError> {
        if self.network.state(self.server) == LinkState::Down {
            return Err(PublishError::Down);
        }
        for envelope in batch {
            self.network.publish(envelope);
        }
        sleep(Duration::from_millis(1)).await;
        Ok(())
    }

    fn is_connected(&self) -> bool {
        self.network.state(self.server) != LinkState::Down
    }

    fn reconnect(&self) {
        let (network, server) = (self.network.clone(), self.server);
        tokio::spawn(async move {
            network.set_state(server, LinkState::Down).await;
            sleep(Duration::from_millis(100)).await;
            network.set_state(server, LinkState::Up).await;
        });
    }
}
