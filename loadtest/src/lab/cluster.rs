//! The lab's Redis Cluster: three masters, each with a replica.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail, ensure};
use futures_util::future::try_join_all;
use redis::{FromRedisValue, aio::MultiplexedConnection};

use super::{
    folder::Folder,
    port::free_port,
    redis::{Redis, new_password},
};

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
/// A master that is silent for so long is taken for dead, and its replica takes its place.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the nodes may take to agree.
const AGREE_LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// See the module. Nodes keep their ports and places for as long as the lab lives.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
    bus_ports: Vec<u16>,
}

/// What a node says of one of the nodes.
#[derive(Debug)]
struct Seen {
    id: String,
    port: u16,
    is_self: bool,
    is_master: bool,
    /// Neither failing nor unknown, and connected.
    is_well: bool,
    slots: Vec<(u16, u16)>,
}

impl Cluster {
    /// Starts the nodes and makes a cluster of them.
    pub(super) async fn launch(folder: &Arc<Folder>) -> anyhow::Result<Self> {
        let password = new_password();
        let (mut nodes, mut bus_ports) = (Vec::new(), Vec::new());
        for number in 0..2 * MASTERS {
            let (name, bus_port) = (format!("redis-{number}"), free_port()?);
            let further = format!(
                "cluster-enabled yes\ncluster-config-file {name}.nodes\ncluster-port {bus_port}\n\
                 cluster-node-timeout {}\ncluster-replica-validity-factor 0\ncluster-allow-replica-migration no\n\
                 masterauth {password}\ndbfilename {name}.rdb\nrepl-diskless-sync-delay 0\n",
                NODE_TIMEOUT.as_millis(),
            );
            nodes.push(Redis::place(folder, &name, &password, &further)?);
            bus_ports.push(bus_port);
        }
        let cluster = Self { nodes, bus_ports };
        try_join_all(cluster.nodes.iter().map(Redis::start)).await?;
        cluster.create().await.context("can't make a Redis Cluster")?;
        Ok(cluster)
    }

    /// All nodes, whether they run or not.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The nodes' URLs, as the servers take them.
    pub fn urls(&self) -> String {
        self.nodes.iter().map(Redis::url).collect::<Vec<_>>().join(",")
    }

    /// Starts the nodes that don't run, and waits until all agree that everyone is well.
    pub async fn start(&self) -> anyhow::Result<()> {
        try_join_all(self.nodes.iter().filter(|node| node.pid().is_none()).map(Redis::start)).await?;
        self.agrees().await
    }

    /// The master that has a topic, as a node that runs sees it.
    pub async fn master_of(&self, topic: &str) -> anyhow::Result<&Redis> {
        let witness = self.nodes.iter().find(|node| node.pid().is_some()).context("no node runs")?;
        let slot: u16 = command(witness, &["CLUSTER", "KEYSLOT", topic]).await?;
        let seen = look(witness).await?;
        let has_it = |seen: &&Seen| seen.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
        let master = seen.iter().find(has_it).with_context(|| format!("no node has the slot {slot}"))?;
        self.node_at(master.port)
    }

    /// Gives the slot of a topic to another master, and waits until all agree.
    pub async fn move_slot_of(&self, topic: &str) -> anyhow::Result<()> {
        let from = self.master_of(topic).await?;
        let slot: u16 = command(from, &["CLUSTER", "KEYSLOT", topic]).await?;
        let seen = look(from).await?;
        let to =
            seen.iter().find(|seen| seen.is_master && !seen.is_self).context("there is one master only")?;
        // The new one first, so that the slot is never no one's.
        for node in [self.node_at(to.port)?, from] {
            let slot = slot.to_string();
            command::<()>(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &to.id]).await?;
        }
        self.agrees().await
    }

    /// Masters with their slots, who meet, and replicas.
    async fn create(&self) -> anyhow::Result<()> {
        for number in 0..MASTERS {
            let (first, end) = (number * SLOTS / MASTERS, (number + 1) * SLOTS / MASTERS);
            let range = [first.to_string(), (end - 1).to_string()];
            command::<()>(&self.nodes[number], &["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]).await?;
        }
        for (number, node) in self.nodes.iter().enumerate() {
            // Of two nodes with one epoch, one would have to change its own.
            command::<()>(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await?;
            let addr = node.addr();
            let place = [addr.ip().to_string(), addr.port().to_string(), self.bus_ports[number].to_string()];
            command::<()>(&self.nodes[0], &["CLUSTER", "MEET", &place[0], &place[1], &place[2]]).await?;
        }
        self.agrees().await?;
        for (master, replica) in self.nodes.iter().zip(&self.nodes[MASTERS..]) {
            let id: String = command(master, &["CLUSTER", "MYID"]).await?;
            command::<()>(replica, &["CLUSTER", "REPLICATE", &id]).await?;
        }
        self.agrees().await
    }

    /// Waits until every node sees all others well and has the same map, with a replica of each master once there are any.
    async fn agrees(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + AGREE_LIMIT;
        while let Err(why) = self.is_agreed().await {
            ensure!(Instant::now() < deadline, "the nodes don't agree within {AGREE_LIMIT:?}: {why:#}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn is_agreed(&self) -> anyhow::Result<()> {
        let maps = try_join_all(self.nodes.iter().map(|node| self.map_of(node))).await?;
        ensure!(maps.windows(2).all(|two| two[0] == two[1]), "they have different maps");
        Ok(())
    }

    /// Each port's role and slots, as a node sees them. An error if it sees anyone unwell.
    async fn map_of(&self, node: &Redis) -> anyhow::Result<Vec<(u16, bool, Vec<(u16, u16)>)>> {
        let info: String = command(node, &["CLUSTER", "INFO"]).await?;
        ensure!(info.contains("cluster_state:ok"), "a node sees the cluster down");
        let seen = look(node).await?;
        ensure!(
            seen.len() == self.nodes.len() && seen.iter().all(|seen| seen.is_well),
            "a node misses others"
        );
        let mut map: Vec<_> = seen.into_iter().map(|seen| (seen.port, seen.is_master, seen.slots)).collect();
        map.sort();
        Ok(map)
    }

    fn node_at(&self, port: u16) -> anyhow::Result<&Redis> {
        let node = self.nodes.iter().find(|node| node.addr().port() == port);
        node.with_context(|| format!("no node of the lab has the port {port}"))
    }
}

/// How a node sees the cluster.
async fn look(node: &Redis) -> anyhow::Result<Vec<Seen>> {
    let nodes: String = command(node, &["CLUSTER", "NODES"]).await?;
    nodes.lines().map(|line| read(line).ok_or_else(|| anyhow!("can't read {line:?}"))).collect()
}

/// A line of `CLUSTER NODES`: id, address, flags, master, two times, epoch, link, slots.
fn read(text: &str) -> Option<Seen> {
    let words: Vec<&str> = text.split(' ').collect();
    let [id, address, flags, _, _, _, _, link, slots @ ..] = words.as_slice() else { return None };
    let has = |flag: &str| flags.split(',').any(|other| other == flag);
    let range = |slots: &&str| {
        let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    Some(Seen {
        id: (*id).to_owned(),
        port: address.split('@').next()?.rsplit(':').next()?.parse().ok()?,
        is_self: has("myself"),
        is_master: has("master"),
        is_well: (has("myself") || *link == "connected")
            && !["fail", "fail?", "handshake", "noaddr"].into_iter().any(has),
        slots: slots.iter().map(range).collect::<Option<_>>()?,
    })
}

async fn command<T: FromRedisValue>(node: &Redis, words: &[&str]) -> anyhow::Result<T> {
    let mut command = ::redis::Cmd::new();
    command.arg(words);
    let answer =
        async { command.query_async(&mut connection(node).await?).await.map_err(anyhow::Error::from) };
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(answer) => answer.with_context(|| words.join(" ")),
        Err(_) => bail!("{}: no answer within {ANSWER_LIMIT:?}", words.join(" ")),
    }
}

async fn connection(node: &Redis) -> anyhow::Result<MultiplexedConnection> {
    Ok(::redis::Client::open(node.url())?.get_multiplexed_async_connection().await?)
}
