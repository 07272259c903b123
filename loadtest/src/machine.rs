//! What a run ran on.

use std::fs;

use serde::Serialize;

use crate::lab::{Backend, Lab, kafka, postgres, redis};

/// The machine, and the services where they are known.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's model.
    pub(crate) cpu: String,
    /// Processors that this process may use.
    pub(crate) cores: usize,
    /// The kernel's version.
    pub(crate) kernel: String,
    /// Memory, in bytes.
    pub(crate) memory_bytes: u64,
    /// PostgreSQL's version, if the lab runs its own.
    pub(crate) postgres: Option<String>,
    /// Redis's version, if the lab runs its own.
    pub(crate) redis: Option<String>,
    /// Kafka's version, if the lab runs its own.
    pub(crate) kafka: Option<String>,
}

impl Machine {
    /// This machine, and what the lab runs on it.
    pub(crate) fn describe(lab: Option<&Lab>) -> Self {
        let backend = lab.and_then(Lab::private_backend);
        Self {
            cpu: value_in("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| "unknown".to_owned(), |release| release.trim().to_owned()),
            memory_bytes: memory_bytes().unwrap_or_default(),
            postgres: lab.and_then(Lab::private_postgres).and_then(|_| postgres::version()),
            redis: backend
                .filter(|it| matches!(it, Backend::Redis(_) | Backend::Cluster(_)))
                .and_then(|_| redis::version()),
            kafka: backend.filter(|it| matches!(it, Backend::Kafka(_))).and_then(|_| kafka::version()),
        }
    }
}

fn memory_bytes() -> Option<u64> {
    let total = value_in("/proc/meminfo", "MemTotal")?;
    Some(total.strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The value of the first `key : value` line.
fn value_in(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text.lines().find(|line| line.starts_with(key))?.split_once(':')?;
    Some(value.trim().to_owned())
}
