//! Who talks to whom, where a command offers no more choice than numbers.

use clap::{Args, value_parser};

use super::parse_body_bytes;
use crate::plan::{Bodies, Layout};

/// Who talks to whom.
#[derive(Clone, Debug, Args)]
pub struct LayoutArgs {
    /// Channels.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u16).range(1..=10_000))]
    pub channels: u16,
    /// Publishing connections, spread evenly over the servers.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u16).range(1..=10_000))]
    pub publishers: u16,
    /// Subscribing connections, spread evenly over channels and servers.
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u16).range(1..=20_000))]
    pub subscribers: u16,
    /// Length of each message's text.
    #[arg(long, default_value_t = 200, value_parser = parse_body_bytes)]
    pub body_bytes: usize,
}

impl From<&LayoutArgs> for Layout {
    fn from(args: &LayoutArgs) -> Self {
        Self {
            channels: usize::from(args.channels),
            publishers: usize::from(args.publishers),
            subscribers: usize::from(args.subscribers),
            body_bytes: Bodies::Fixed(args.body_bytes),
            ..Self::default()
        }
    }
}
