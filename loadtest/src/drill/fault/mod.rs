//! What can be broken.

mod broker;
mod clients;
mod postgres;
mod redis;
mod servers;

use std::time::Duration;

use super::Site;
use crate::lab::can_have_a_small_disk;

/// A fault: broken and mended again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    BrokerCrash,
    BrokerFreeze,
    RedisFlap,
    RedisDropsSubscriber,
    PostgresCrash,
    CrashAfterCommit,
    PostgresFreeze,
    PostgresSlow,
    DiskFull,
    ServerCrash,
    RollingRestart,
    SlowClient,
    ClientStorm,
    PublishStorm,
    SkewedClock,
    MasterCrash,
    RelayCrash,
}

impl Fault {
    /// Why it can't be broken on this machine, if so.
    pub(super) fn impossible(self) -> Option<String> {
        match self {
            Self::DiskFull => can_have_a_small_disk().err().map(|error| error.to_string()),
            _ => None,
        }
    }

    /// Breaks it for about so long; returns when all is whole again.
    pub(crate) async fn strike(self, site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
        match self {
            Self::BrokerCrash => broker::crash(site, length).await,
            Self::BrokerFreeze => broker::freeze(site, length).await,
            Self::MasterCrash => broker::crash_master(site, length).await,
            Self::RelayCrash => broker::crash_relay(site, length).await,
            Self::RedisFlap => redis::flap(site, length).await,
            Self::RedisDropsSubscriber => redis::drop_subscribers(site, length).await,
            Self::PostgresCrash => postgres::crash(site, length).await,
            Self::PostgresFreeze => postgres::freeze(site, length).await,
            Self::PostgresSlow => postgres::slow(site, length).await,
            Self::DiskFull => postgres::disk_full(site, length).await,
            Self::CrashAfterCommit => servers::crash_after_commit(site, length).await,
            Self::ServerCrash => servers::crash(site, length).await,
            Self::RollingRestart => servers::restart_all(site).await,
            Self::PublishStorm => servers::cut_capacity(site, length).await,
            Self::SkewedClock => servers::skewed_clock(site, length).await,
            Self::SlowClient => clients::stop_reading(site, length).await,
            Self::ClientStorm => clients::storm(site, length).await,
        }
    }
}
