//! Free ports on loopback.

use std::{fs, net::TcpListener};

use anyhow::bail;
use rand::RngExt;

const LOWEST: u16 = 10_240;
const ATTEMPTS: usize = 1_000;

/// A port that no one listens on, below those that the kernel gives to outgoing connections: one of the
/// thousands of clients might otherwise take it while the component that it belongs to is down.
pub fn free_port() -> anyhow::Result<u16> {
    let highest = first_ephemeral_port().unwrap_or(32_768).max(LOWEST + 1_000);
    let mut random = rand::rng();
    for _ in 0..ATTEMPTS {
        let port = random.random_range(LOWEST..highest);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("found no free port between {LOWEST} and {highest} on 127.0.0.1")
}

fn first_ephemeral_port() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_ascii_whitespace().next()?.parse().ok()
}
