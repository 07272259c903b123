//! What happens in a simulation: trouble at random, then calm, in which every client must catch up.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hopline::{
    persist::Committed,
    protocol::{ChannelName, OriginStamps},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    broker::{LinkState, Network, Weather},
    client::Client,
    cluster::Cluster,
    database::{Database, Mood},
    log::Log,
    seed::Broken,
};

/// The longest that clients may take to catch up once all is well: two checks and the reads that follow, and a client
/// that tries again.
const CATCH_UP_MAX: Duration = Duration::from_secs(8);
/// Longer than two checks: what is sent twice by then, or too late, is noticed.
const SILENCE: Duration = Duration::from_secs(5);

const GOOD: Weather = Weather { lost: 0.0, repeated: 0.0, delay_ms_max: 3 };

/// A client's channel and the last number that it has.
type Position = (ChannelName, Arc<Mutex<Option<u64>>>);

pub(crate) struct World {
    random: StdRng,
    log: Arc<Log>,
    cluster: Arc<Cluster>,
    channels: Vec<ChannelName>,
    positions: Vec<Position>,
    clients: JoinSet<()>,
    calm: watch::Sender<bool>,
}

impl World {
    pub(crate) fn new(seed: u64, broken: Broken, log: Arc<Log>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let weather = Weather {
            lost: *[0.0, 0.02, 0.3].choose(&mut random).unwrap(),
            repeated: *[0.0, 0.02, 0.3].choose(&mut random).unwrap(),
            delay_ms_max: *[3, 15, 80].choose(&mut random).unwrap(),
        };
        let network = Arc::new(Network::new(random.random(), weather, broken));
        let database = Arc::new(Database::new(random.random(), broken));
        let cluster = Arc::new(Cluster::new(network, database, random.random_range(1..4)));
        let channels: Vec<ChannelName> = (0..random.random_range(1..4))
            .map(|number| format!("channel-{number}").parse().unwrap())
            .collect();
        let (calm, is_calm) = watch::channel(false);
        let (mut clients, mut positions) = (JoinSet::new(), Vec::new());
        for number in 0..random.random_range(2..7) {
            let channel = channels.choose(&mut random).unwrap().clone();
            let what = (number, channel.clone(), random.random());
            let client = Client::new(what, cluster.clone(), log.clone(), is_calm.clone());
            positions.push((channel, client.have.clone()));
            clients.spawn(client.live());
        }
        log.add(format!(
            "{} servers, {channels:?}, {} clients, {weather:?}",
            cluster.size(),
            positions.len()
        ));
        Self { random, log, cluster, channels, positions, clients, calm }
    }

    /// Runs until something is wrong, or nothing was.
    pub(crate) async fn run(mut self) {
        for server in 0..self.cluster.size() {
            self.cluster.network.set_state(server, LinkState::Up).await;
        }
        for _ in 0..self.random.random_range(20..150) {
            sleep(Duration::from_millis(self.random.random_range(0..120))).await;
            self.happen().await;
            if self.is_over() {
                return;
            }
        }
        self.calm_down().await;
        self.catch_up().await;
    }

    fn is_over(&mut self) -> bool {
        if let Some(defect) = self.cluster.defect() {
            self.log.violate("a server has failed", defect);
        }
        if let Some(Err(error)) = self.clients.try_join_next() {
            self.log.violate("a client has failed", error.to_string());
        }
        self.log.violation().is_some()
    }

    async fn happen(&mut self) {
        let server = self.random.random_range(0..self.cluster.size());
        let network = self.cluster.network.clone();
        match (self.random.random_range(0..100), network.state(server)) {
            (0..4, LinkState::Up | LinkState::Deaf) => self.link(server, LinkState::Down).await,
            (4..6, LinkState::Up) => self.link(server, LinkState::Deaf).await,
            (6..30, LinkState::Down) => self.link(server, LinkState::Up).await,
            (30..34, _) => {
                let mood = *[Mood::Well, Mood::Slow, Mood::Away].choose(&mut self.random).unwrap();
                self.mood(mood);
            }
            (34..36, _) => {
                self.log.add(format!("server {server} is killed"));
                self.cluster.restart(server);
                self.link(server, LinkState::Up).await;
            }
            _ => self.publish(server),
        }
    }

    async fn link(&self, server: usize, state: LinkState) {
        self.log.add(format!("server {server}'s broker is {state:?}"));
        self.cluster.network.set_state(server, state).await;
    }

    fn mood(&self, mood: Mood) {
        self.log.add(format!("the database is {mood:?}"));
        self.cluster.database.set_mood(mood);
    }

    /// Commits a batch, and publishes it unless the server dies in between.
    fn publish(&mut self, server: usize) {
        let mut batch = Vec::new();
        for _ in 0..self.random.random_range(1..12) {
            let channel = self.channels.choose(&mut self.random).unwrap();
            let message = self.cluster.database.commit(channel);
            let stamps = OriginStamps::committed(0, 0, 0);
            batch.push(Committed { message, stamps, trace: None });
        }
        self.log.add(format!("server {server} commits {} messages", batch.len()));
        if self.random.random_ratio(1, 30) {
            self.log.add(format!("server {server} is killed before it publishes"));
            self.cluster.restart(server);
        } else {
            self.cluster.publish(server, batch);
        }
    }

    async fn calm_down(&mut self) {
        self.log.add("all is well from now on");
        let _ = self.calm.send(true);
        self.cluster.database.set_mood(Mood::Well);
        self.cluster.network.set_weather(GOOD);
        for server in 0..self.cluster.size() {
            // One that is deaf stays so until its server notices.
            if self.cluster.network.state(server) == LinkState::Down {
                self.cluster.network.set_state(server, LinkState::Up).await;
            }
        }
    }

    async fn catch_up(&mut self) {
        let started = Instant::now();
        while !self.is_over() && !self.all_have_everything() {
            if started.elapsed() > CATCH_UP_MAX {
                return self.log.violate("some clients do not have everything", self.behind());
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.log.add("all clients have everything");
        sleep(SILENCE).await;
        if !self.is_over() && !self.all_have_everything() {
            self.log.violate("a client has lost something", self.behind());
        }
    }

    fn all_have_everything(&self) -> bool {
        self.positions.iter().all(|position| self.is_complete(position))
    }

    fn is_complete(&self, (channel, have): &Position) -> bool {
        let newest = self.cluster.database.newest(channel);
        have.lock().unwrap().is_some_and(|have| have >= newest)
    }

    fn behind(&self) -> String {
        let behind = (0..).zip(&self.positions).filter(|(_, position)| !self.is_complete(position));
        let each = behind.map(|(number, (channel, have)): (usize, _)| {
            let newest = self.cluster.database.newest(channel);
            format!("client {number} has {:?} of {newest}", have.lock().unwrap())
        });
        each.collect::<Vec<_>>().join(", ")
    }
}
