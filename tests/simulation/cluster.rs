//! Servers: the real stages, but for those that write to PostgreSQL.

use std::sync::{Arc, Mutex};

use clap::Parser;
use hopline::{
    accept::Accept,
    auth::{Auth, Identity},
    broker::Broker,
    config::{Config, ServeArgs},
    connection::{self, Shared},
    persist::{Committed, Persist},
    protocol::SenderName,
    publish::Publish,
    receive::{Inputs, Receive},
    send::{Registrar, Waiting},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Network, ServerLink},
    database::Database,
    socket::{ClientEnd, pair},
};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
}

/// A server's configuration: small limits, so that they are met.
fn config() -> Config {
    let flags = [
        "hopline",
        "--database-url=postgres://nowhere/none",
        "--redis-url=redis://nowhere/",
        "--recovered-max=20",
        "--client-queue-max=48",
    ];
    Config::new(&Cli::parse_from(flags).serve).unwrap()
}

pub(crate) struct Cluster {
    pub(crate) network: Arc<Network>,
    pub(crate) database: Arc<Database>,
    servers: Mutex<Vec<Server>>,
}

struct Server {
    shared: Arc<Shared>,
    publish: Publish,
    /// All that runs there. Nothing of it may end before the server does, but connections.
    stages: JoinSet<()>,
    connections: JoinSet<()>,
}

impl Cluster {
    pub(crate) fn new(network: Arc<Network>, database: Arc<Database>, servers: usize) -> Self {
        let cluster = Self { network, database, servers: Mutex::default() };
        for number in 0..servers {
            let server = cluster.start(number);
            cluster.servers.lock().unwrap().push(server);
        }
        cluster
    }

    pub(crate) fn size(&self) -> usize {
        self.servers.lock().unwrap().len()
    }

    fn start(&self, number: usize) -> Server {
        let config = config();
        let node: SenderName = format!("server-{number}").parse().unwrap();
        let broker: Arc<dyn Broker> = Arc::new(ServerLink { network: self.network.clone(), server: number });
        let events = self.network.link(number);
        let (registrar, registrations) = Registrar::new();
        let (waiting, database) = (Waiting::new(config.client.waiting_bytes_max), self.database.clone());
        let receive = Receive::new(node.clone(), config.receive, broker.clone(), database, waiting.clone());
        let (publish, publishing) = Publish::new(node.clone(), broker);
        let mut stages = JoinSet::new();
        stages.spawn(receive.run(Inputs { events, registrations }));
        stages.spawn(publishing);
        // Its writers are gone at once: messages are committed by the simulation itself.
        let closing = CancellationToken::new();
        let persist =
            Persist::start(config.persist, &config.database.options, |_| {}, &closing, &mut JoinSet::new());
        let shared = Arc::new(Shared {
            node,
            config: config.client,
            auth: Auth::new(config.auth),
            accept: Accept::new(persist, config.client.limits),
            waiting,
            registrar,
            history: self.database.clone(),
            draining: CancellationToken::new(),
        });
        Server { shared, publish, stages, connections: JoinSet::new() }
    }

    /// Kills a server and starts it anew. What it had not published yet is published by no one.
    pub(crate) fn restart(&self, number: usize) {
        let server = self.start(number);
        self.servers.lock().unwrap()[number] = server;
    }

    /// Opens a connection.
    pub(crate) fn connect(&self, number: usize, sender: &SenderName) -> ClientEnd {
        let (socket, client) = pair();
        let identity = Identity::anyone(sender.clone());
        let server = &mut self.servers.lock().unwrap()[number];
        server.connections.spawn(connection::serve(socket, server.shared.clone(), Some(identity)));
        client
    }

    pub(crate) fn publish(&self, number: usize, batch: Vec<Committed>) {
        self.servers.lock().unwrap()[number].publish.hand_over(batch);
    }

    /// What has ended and should not have: a stage, or a connection that panicked.
    pub(crate) fn defect(&self) -> Option<String> {
        for server in &mut *self.servers.lock().unwrap() {
            if let Some(ended) = server.stages.try_join_next() {
                return Some(format!("a stage has ended: {ended:?}"));
            }
            while let Some(ended) = server.connections.try_join_next() {
                if let Err(error) = ended {
                    return Some(format!("a connection has ended: {error}"));
                }
            }
        }
        None
    }
}
