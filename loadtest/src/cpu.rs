//! What the processes of a run cost: processor time and memory.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    lab::{Lab, Server},
    procfs,
};

/// The processes that a run watches. Those on other machines, or of others, aren't.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    servers: Vec<(String, u32)>,
    postgres: Option<u32>,
    broker: Vec<u32>,
    /// Whether each of the broker's processes works with one thread.
    one_thread: bool,
}

/// Processor time used up to a moment.
#[derive(Clone, Debug)]
pub(crate) struct CpuTimes {
    servers: BTreeMap<String, Duration>,
    postgres: Option<Duration>,
    broker: Vec<Duration>,
    one_thread: bool,
    generator: Duration,
    threads: Vec<(u32, String, Duration)>,
}

/// A thread of this process, and for which share of the time it was busy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct BusyThread {
    pub(crate) name: String,
    pub(crate) share: f64,
}

/// Processor time, in seconds, used over the measured window. What isn't on the lab isn't known.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CpuUse {
    /// The window's length.
    pub(crate) window_s: f64,
    /// All servers together.
    pub(crate) servers_s: Option<f64>,
    /// Each of them.
    pub(crate) by_server_s: BTreeMap<String, f64>,
    /// PostgreSQL with all its processes.
    pub(crate) postgres_s: Option<f64>,
    /// What runs between the servers, all of it.
    pub(crate) broker_s: Option<f64>,
    /// The busiest Redis: it works with one thread, which no other can help.
    pub(crate) redis_busiest_s: Option<f64>,
    /// This process.
    pub(crate) generator_s: f64,
    /// Its busiest thread: no other can help it.
    pub(crate) generator_busiest: Option<BusyThread>,
    /// Deliveries in the window.
    pub(crate) deliveries: u64,
    /// What a delivery cost the servers, in microseconds.
    pub(crate) servers_us_per_delivery: Option<f64>,
}

impl Watched {
    /// These servers of a lab, and what they share.
    pub(crate) fn on(lab: &Lab, servers: &[Arc<Server>]) -> Self {
        let pid = |server: &Arc<Server>| Some((server.node().to_owned(), server.pid()?));
        Self {
            servers: servers.iter().filter_map(pid).collect(),
            postgres: lab.private_postgres().and_then(crate::lab::Postgres::pid),
            broker: lab.broker_pids(),
            one_thread: lab.broker().is_redis(),
        }
    }

    /// Processor time used up to now.
    pub(crate) fn cpu(&self) -> CpuTimes {
        let server = |(node, pid): &(String, u32)| (node.clone(), procfs::cpu_of_process(*pid));
        CpuTimes {
            servers: self.servers.iter().map(server).collect(),
            postgres: self.postgres.map(procfs::cpu_of_family),
            broker: self.broker.iter().map(|pid| procfs::cpu_of_process(*pid)).collect(),
            one_thread: self.one_thread,
            generator: procfs::cpu_of_process(std::process::id()),
            threads: procfs::cpu_of_own_threads(),
        }
    }

    /// Resident memory of each server now, in bytes.
    pub(crate) fn resident_bytes(&self) -> BTreeMap<String, u64> {
        let resident = |(node, pid): &(String, u32)| Some((node.clone(), procfs::resident_bytes(*pid)?));
        self.servers.iter().filter_map(resident).collect()
    }
}

impl CpuTimes {
    /// What was used since an earlier moment.
    pub(crate) fn since(&self, earlier: &Self, window: Duration, deliveries: u64) -> CpuUse {
        let used =
            |now: Option<Duration>, then: Option<Duration>| Some(now?.saturating_sub(then?).as_secs_f64());
        let by_server_s: BTreeMap<String, f64> = self
            .servers
            .iter()
            .filter_map(|(node, now)| {
                Some((node.clone(), used(Some(*now), earlier.servers.get(node).copied())?))
            })
            .collect();
        let broker = self.broker.iter().zip(&earlier.broker);
        let broker: Vec<f64> = broker.map(|(now, then)| now.saturating_sub(*then).as_secs_f64()).collect();
        let busiest_s = broker.iter().copied().reduce(f64::max);
        let servers_s = (!by_server_s.is_empty()).then(|| by_server_s.values().sum::<f64>());
        CpuUse {
            window_s: window.as_secs_f64(),
            servers_s,
            by_server_s,
            postgres_s: used(self.postgres, earlier.postgres),
            broker_s: (!broker.is_empty()).then(|| broker.iter().sum()),
            redis_busiest_s: busiest_s.filter(|_| self.one_thread),
            generator_s: self.generator.saturating_sub(earlier.generator).as_secs_f64(),
            generator_busiest: self.busiest_since(earlier, window),
            deliveries,
            servers_us_per_delivery: servers_s
                .filter(|_| deliveries > 0)
                .map(|seconds| seconds * 1e6 / deliveries as f64),
        }
    }

    fn busiest_since(&self, earlier: &Self, window: Duration) -> Option<BusyThread> {
        let busy = self.threads.iter().map(|(id, name, now)| {
            let before = earlier.threads.iter().find(|(other, ..)| other == id);
            let used = now.saturating_sub(before.map_or(Duration::ZERO, |(_, _, time)| *time));
            BusyThread { name: name.clone(), share: used.as_secs_f64() / window.as_secs_f64() }
        });
        busy.max_by(|one, other| one.share.total_cmp(&other.share))
    }
}
