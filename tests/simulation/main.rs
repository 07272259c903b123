//! The real stages from `connection` to `send`, on several servers, with a broker that loses, repeats and reorders, a
//! database that is slow or away, and clients that come and go: simulated in virtual time, from a seed.
//!
//! `SIM_SEEDS` says how many seeds are tried, `SIM_SEED` which one alone. Under `make simulate` a seed decides
//! everything; without it Tokio picks at random among what is ready at the same time.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails where it stands")]

mod broker;
mod client;
mod cluster;
mod database;
mod log;
mod seed;
mod socket;
mod world;

use seed::{Broken, failure, log_of, seeds, simulate};

#[test]
fn every_client_gets_every_message_once_and_in_order_whatever_breaks() {
    for seed in seeds() {
        if let Err(report) = simulate(seed, Broken::Nothing) {
            panic!("{report}");
        }
    }
}

#[test]
fn a_database_that_forgets_rows_is_found_out() {
    assert_eq!(failure(Broken::Rows), "a message is missing or repeated");
}

#[test]
fn counters_that_stand_still_are_found_out() {
    assert_eq!(failure(Broken::Counters), "some clients do not have everything");
}

#[test]
fn a_broker_that_mixes_up_messages_is_found_out() {
    assert_eq!(failure(Broken::Numbers), "a message is not the one that was committed");
}

/// Otherwise nothing above would be proved.
#[test]
fn simulations_meet_what_they_are_about() {
    let logs: String = (0..100).map(log_of).collect();
    for event in [
        "broker is Down",
        "broker is Deaf",
        "database is Slow",
        "database is Away",
        "is killed before it publishes",
        "is disconnected",
        "is closed as slow_client",
        "recovered: true",
        "recovered: false",
        "from self",
        "from peer",
        "from healed",
    ] {
        assert!(logs.contains(event), "no simulation had: {event}");
    }
}

/// Only then can a seed be repeated. See the module.
#[cfg(tokio_unstable)]
#[test]
fn a_seed_is_repeated_to_the_letter() {
    for seed in 0..20 {
        assert_eq!(log_of(seed), log_of(seed), "seed {seed}");
    }
}
