//! Which of a fixed number of partitions a channel belongs to, the same on every server and for ever.

use super::ChannelName;

impl ChannelName {
    /// One of so many partitions, counted from 0.
    pub fn partition(&self, partitions: u16) -> u16 {
        crc16(self.as_bytes()) % partitions
    }
}

/// The checksum by which Redis Cluster spreads keys over its slots (CRC-16/XMODEM, as its specification has it).
pub fn crc16(bytes: &[u8]) -> u16 {
    const POLYNOMIAL: u16 = 0x1021;
    let shift = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ (u16::from(*byte) << 8), shift))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_channels_partition_never_changes() {
        assert_eq!(crc16(b"123456789"), 0x31C3, "the specification's own example");
        let partition = |name: &str| name.parse::<ChannelName>().unwrap().partition(128);
        assert_eq!(["general", "random", "team-1", "team-2"].map(partition), [125, 109, 34, 65]);
    }

    #[test]
    fn channels_are_spread_over_all_partitions() {
        let channel = |number: u16| format!("channel-{number}").parse::<ChannelName>().unwrap();
        for partitions in [1, 100, 128] {
            let used: HashSet<u16> = (0..2_000).map(|number| channel(number).partition(partitions)).collect();
            assert_eq!(used, (0..partitions).collect());
        }
    }
}
