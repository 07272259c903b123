//! A soak: load for a long time, a random fault each minute, and whether memory or open files grow.

mod args;
mod growth;

use std::time::Duration;

use rand::{SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::time::{Instant, sleep_until};

pub use args::SoakArgs;
use growth::Growth;

use crate::{
    clock::Clock,
    drill::{Check, Conditions, Drilled, Fault, Load, Manner, Site, start_lab, under_load},
    plan::Workload,
    preflight,
    progress::Progress,
    run::Order,
};

/// From one fault to the next.
const EVERY: Duration = Duration::from_mins(1);
/// How long each lasts.
const LENGTH: Duration = Duration::from_secs(5);
/// From a fault's beginning until clients that have moved return, so that servers can be compared with what they were.
const HOME_AFTER: Duration = Duration::from_secs(35);
/// The same until memory and files are looked at.
const LOOK_AFTER: Duration = Duration::from_secs(50);
/// The server that no fault ends, so that its memory can be followed.
const FOLLOWED: &str = "a";

/// Faults that leave the lab as it was.
const FAULTS: &[Fault] = &[
    Fault::BrokerCrash,
    Fault::BrokerFreeze,
    Fault::RedisFlap,
    Fault::RedisDropsSubscriber,
    Fault::PostgresCrash,
    Fault::PostgresFreeze,
    Fault::PostgresSlow,
    Fault::CrashAfterCommit,
    Fault::ServerCrash,
    Fault::ClientStorm,
    Fault::PublishStorm,
];

/// What a soak brings home.
#[derive(Debug)]
pub(crate) struct Soaked {
    pub(crate) drilled: Drilled,
    /// Memory and open files.
    pub(crate) checks: Vec<Check>,
    /// Why nothing can be said of them.
    pub(crate) invalid: Vec<String>,
}

/// Loads a lab for so long, and breaks something each minute; the seed decides what.
pub(crate) async fn soak(
    args: &SoakArgs,
    seed: u64,
    manner: &Manner,
    progress: &mut Progress,
) -> anyhow::Result<Soaked> {
    let load = Load { rate_per_s: args.rate, ..Load::USUAL };
    let quiet_before = load.quiet_before;
    let workload = Workload { duration: args.duration, ..load.workload() };
    progress.step("starting the lab");
    let lab = start_lab(None, manner).await?;
    preflight::check(&workload.layout, lab.servers().len())?;
    let faults = chosen(seed, args.duration);
    let mut growth = Growth::default();
    let strike = async |site: &mut Site<'_>, clock: Clock| {
        for (fault, minute) in faults.into_iter().zip(0..) {
            let begins = quiet_before + EVERY * minute;
            let at = |after| sleep_until(Instant::from_std(clock.moment(begins + after)));
            at(Duration::ZERO).await;
            Box::pin(fault.strike(site, LENGTH)).await?;
            at(HOME_AFTER).await;
            site.survival.order(Order::GoHome);
            at(LOOK_AFTER).await;
            growth.look(site.lab.server(FOLLOWED).pid());
        }
        Ok(())
    };
    let drilled = under_load(&lab, workload, Conditions::default(), strike, progress).await?;
    let (checks, invalid) = growth.judge();
    Ok(Soaked { drilled, checks, invalid })
}

/// One fault for each whole minute.
fn chosen(seed: u64, duration: Duration) -> Vec<Fault> {
    let mut random = StdRng::seed_from_u64(seed);
    let minutes = duration.as_secs() / EVERY.as_secs();
    (0..minutes).filter_map(|_| FAULTS.choose(&mut random).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_breaks_the_same_things_once_a_minute() {
        let hour = |seed| chosen(seed, Duration::from_hours(1));
        assert_eq!(hour(1).len(), 60);
        assert_eq!(hour(1), hour(1));
        assert_ne!(hour(1), hour(2));
    }
}
