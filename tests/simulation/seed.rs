//! A simulation from a seed, and what is said of one that fails.

use std::{env, ops::Range, sync::Arc, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::{
    log::{Log, Violation},
    world::World,
};

/// What is wrong on purpose, to see that a simulation finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Nothing,
    /// Some rows are gone.
    Rows,
    /// Counters stay at 0 for those who compare them.
    Counters,
    /// Messages carry another one's number.
    Numbers,
}

/// No simulation takes longer, in virtual time.
const DURATION_MAX: Duration = Duration::from_mins(10);
/// Seeds that are tried unless told otherwise.
const SEEDS: u64 = 200;
/// Events that are shown of a simulation that fails, unless it is the only one.
const SHOWN_EVENTS: usize = 40;

/// The seeds to try.
pub(crate) fn seeds() -> Range<u64> {
    match (number("SIM_SEED"), number("SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Simulates a seed; the error says what was wrong, and how to see it again.
pub(crate) fn simulate(seed: u64, broken: Broken) -> Result<(), String> {
    let log = run(seed, broken);
    let Some(Violation { what, details }) = log.violation() else { return Ok(()) };
    let text = log.text();
    let shown = if number("SIM_SEED").is_some() { usize::MAX } else { SHOWN_EVENTS };
    let skipped = text.lines().count().saturating_sub(shown);
    let events: Vec<&str> = text.lines().skip(skipped).collect();
    Err(format!(
        "seed {seed}: {what}: {details}\nTo see all of it again: make simulate SIM_SEED={seed}\n{}",
        events.join("\n")
    ))
}

/// What is found of something that is broken.
pub(crate) fn failure(broken: Broken) -> &'static str {
    let found = (0..SEEDS).find_map(|seed| run(seed, broken).violation().cloned());
    found.expect("a simulation finds it").what
}

/// All that happened.
pub(crate) fn log_of(seed: u64) -> String {
    run(seed, Broken::Nothing).text()
}

fn run(seed: u64, broken: Broken) -> Arc<Log> {
    runtime(seed).block_on(async {
        let log = Arc::new(Log::new());
        let world = World::new(seed, broken, log.clone());
        if timeout(DURATION_MAX, world.run()).await.is_err() {
            log.violate("the simulation does not end", format!("after {DURATION_MAX:?}"));
        }
        log
    })
}

/// One thread, and time that passes when there is nothing to do.
fn runtime(seed: u64) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    #[cfg(not(tokio_unstable))]
    let _ = seed;
    builder.build().expect("a runtime needs a thread, and has this one")
}
