//! What each address has: its WebSocket connections, and what it publishes over HTTP.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Bucket, Rate};
use crate::protocol::Limits;

/// Addresses that are remembered before those that are as good as new are forgotten.
const REMEMBERED_MIN: usize = 1024;

/// All addresses that have something. Clones are the same.
#[derive(Clone)]
pub struct Addresses {
    connections_max: usize,
    per_address_max: usize,
    rate: Rate,
    /// Locked for a look only, never while anything is awaited.
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    addresses: HashMap<IpAddr, Address>,
    connections: usize,
    /// With so many addresses it is time to forget some.
    forgets_at: usize,
}

#[derive(Default)]
struct Address {
    connections: usize,
    publishes: Bucket,
}

/// Why there is no room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The server has as many as it may.
    Server,
    /// The address has.
    Address,
}

/// The place of an open connection, free again when this is dropped.
pub struct Connected {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    /// An empty table.
    pub fn new(limits: &Limits) -> Self {
        Self {
            connections_max: limits.connections_max,
            per_address_max: limits.connections_per_address_max,
            rate: Rate::new(limits.publish_rate_per_s_max, limits.publish_burst_max),
            table: Arc::default(),
        }
    }

    /// Takes a place for one more connection.
    pub fn connect(&self, peer: IpAddr) -> Result<Connected, Full> {
        let address = counted_as(peer);
        let mut table = self.table();
        if table.connections >= self.connections_max {
            return Err(Full::Server);
        }
        let entry = table.address(address);
        if entry.connections >= self.per_address_max {
            return Err(Full::Address);
        }
        entry.connections += 1;
        table.connections += 1;
        Ok(Connected { addresses: self.clone(), address })
    }

    /// Lets an address publish over HTTP; if it did so too often, says how long it has to wait.
    pub fn publish(&self, peer: IpAddr) -> Result<(), Duration> {
        self.table().address(counted_as(peer)).publishes.take(&self.rate, Instant::now())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn address(&mut self, address: IpAddr) -> &mut Address {
        if self.addresses.len() >= self.forgets_at.max(REMEMBERED_MIN) {
            let now = Instant::now();
            self.addresses.retain(|_, it| it.connections > 0 || !it.publishes.is_full(now));
            // Not before there are twice as many, so that looking at all of them costs little for each.
            self.forgets_at = self.addresses.len() * 2;
        }
        self.addresses.entry(address).or_default()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut table = self.addresses.table();
        table.connections -= 1;
        if let Some(entry) = table.addresses.get_mut(&self.address) {
            entry.connections -= 1;
        }
    }
}

/// Whoever has one IPv6 address usually has a network of 64 bits, and could use another address each time.
fn counted_as(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(connections_max: usize, per_address: usize) -> Addresses {
        let rate = Rate::new(1, 1);
        Addresses { connections_max, per_address_max: per_address, rate, table: Arc::default() }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_limit_and_all_together_have_one() {
        let addresses = addresses(3, 2);
        let connect = |text| addresses.connect(ip(text)).map_err(|full| (text, full));
        let first = connect("10.0.0.1").unwrap();
        let _second = connect("10.0.0.1").unwrap();
        assert_eq!(connect("10.0.0.1").err(), Some(("10.0.0.1", Full::Address)));
        let _third = connect("10.0.0.2").unwrap();
        assert_eq!(connect("10.0.0.3").err(), Some(("10.0.0.3", Full::Server)));
        drop(first);
        assert!(connect("10.0.0.1").is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_mapped_ipv4_as_ipv4() {
        assert_eq!(counted_as(ip("2001:db8::1:2:3:4")), counted_as(ip("2001:db8::")));
        assert_ne!(counted_as(ip("2001:db8:0:1::")), counted_as(ip("2001:db8::")));
        assert_eq!(counted_as(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
    }

    #[test]
    fn addresses_that_have_nothing_any_more_are_forgotten() {
        let addresses = addresses(10, 10);
        let stays = addresses.connect(ip("10.0.0.1")).unwrap();
        let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(number));
        for number in 0..10 * u32::try_from(REMEMBERED_MIN).unwrap() {
            drop(addresses.connect(address(number)).unwrap());
        }
        assert!(addresses.table().addresses.len() <= REMEMBERED_MIN);
        assert!(addresses.table().addresses.contains_key(&ip("10.0.0.1")));
        drop(stays);
    }

    #[test]
    fn an_address_that_has_published_is_remembered_until_it_may_again() {
        let addresses = addresses(10, 10);
        assert_eq!(addresses.publish(ip("10.0.0.1")), Ok(()));
        assert!(addresses.publish(ip("10.0.0.1")).is_err());
        assert_eq!(addresses.publish(ip("10.0.0.2")), Ok(()));
    }
}
