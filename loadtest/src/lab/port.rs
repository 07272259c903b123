//! Free ports on loopback.

use std::{
    collections::HashSet,
    fs,
    net::TcpListener,
    sync::{LazyLock, Mutex, PoisonError},
};

use anyhow::bail;
use rand::RngExt;

const LOWEST: u16 = 10_240;
const ATTEMPTS: usize = 1_000;

/// What this process has given away: a component that is down still owns its port.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port that no one listens on, different each time, below those that the kernel gives to outgoing connections:
/// one of the thousands of clients might otherwise take it while the component that it belongs to is down.
pub fn free_port() -> anyhow::Result<u16> {
    let highest = first_ephemeral_port().unwrap_or(32_768).max(LOWEST + 1_000);
    let mut random = rand::rng();
    for _ in 0..ATTEMPTS {
        let port = random.random_range(LOWEST..highest);
        let is_new = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
        if is_new && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("found no free port between {LOWEST} and {highest} on 127.0.0.1")
}

fn first_ephemeral_port() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_ascii_whitespace().next()?.parse().ok()
}
