//! What PostgreSQL holds: the messages of channels and their counters.

mod postgres;

use async_trait::async_trait;

pub use postgres::{Postgres, Row};

use crate::protocol::{ChannelName, Message};

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// PostgreSQL can't be reached or refuses.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// It does not answer in time.
    #[error("the database did not answer within {:?}", postgres::READ_TIMEOUT)]
    Timeout(#[from] tokio::time::error::Elapsed),
    /// A stored name is none: someone else wrote to the tables.
    #[error("a stored message has a malformed name: {0}")]
    Name(#[from] crate::protocol::InvalidName),
}

type Result<T> = std::result::Result<T, HistoryError>;

/// Messages of one channel: those with `after < seq <= upto`.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// The channel's name.
    pub channel: &'a ChannelName,
    /// The number before the first one.
    pub after: u64,
    /// The last number.
    pub upto: u64,
}

/// What can be read. A read that fails can be repeated.
#[async_trait]
pub trait History: Send + Sync {
    /// A channel's counter: its last sequence number, 0 before its first message.
    async fn last_seq(&self, channel: &ChannelName) -> Result<u64>;

    /// The counters of those of the channels that have one.
    async fn positions(&self, channels: &[ChannelName]) -> Result<Vec<(ChannelName, u64)>>;

    /// The first `count_max` messages of a range, in order.
    async fn page(&self, range: Range<'_>, count_max: usize) -> Result<Vec<Message>>;

    /// The first `count_max` messages of each range, in order.
    async fn pages(&self, ranges: &[Range<'_>], count_max: usize) -> Result<Vec<Message>>;
}
