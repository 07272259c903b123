//! A closed loop: as fast as answers come.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{interval, sleep};

use super::{HEAD_START, Outcome, Tally, Target, crowd::Crowd, deliveries_within, micros, servers};
use crate::{clock::Clock, plan::Layout, progress::Progress};

/// Messages in one channel that a closed loop may reach; limits what a nonsensical sequence number costs.
const CLOSED_LOOP_LENGTH_MAX: usize = 50_000_000;

/// Lets publishers talk as fast as answers come, each with so many messages unanswered. `watch` is called
/// every second with the tally, while they do and once more when everything has arrived.
pub(crate) async fn hammer(
    layout: &Layout,
    outstanding: usize,
    duration: Duration,
    target: &Target,
    progress: &mut Progress,
    mut watch: impl FnMut(&Tally),
) -> anyhow::Result<Outcome> {
    let crowd =
        Crowd::connect(layout, target, |_| 0, CLOSED_LOOP_LENGTH_MAX, |_, _| None, None, progress).await?;
    let clock = Clock::starting_in(HEAD_START);
    let (mut talk, publishers) = crowd.listen(clock, duration);
    sleep(HEAD_START).await;
    let until_us = micros(duration);
    let before = target.watched.cpu();
    for (number, publisher) in publishers.into_iter().enumerate() {
        let shared = Arc::clone(&talk.shared);
        let stop = talk.stop();
        let mut random = StdRng::seed_from_u64(layout.seed.wrapping_add(number as u64));
        let last = u16::try_from(layout.channels - 1).context("too many channels")?;
        talk.perform(async move {
            let channels = move || random.random_range(0..=last);
            match publisher {
                Ok(publisher) => {
                    publisher.hammer(&shared, clock, outstanding, until_us, channels, stop).await
                }
                Err(nothing) => nothing,
            }
        });
    }
    progress.step_of("publishing as fast as answers come (seconds)", duration.as_secs());
    let mut seconds = interval(Duration::from_secs(1));
    while clock.now_us() < until_us {
        seconds.tick().await;
        watch(&talk.shared.tally);
        progress.at(u64::from(clock.now_us() / 1_000_000));
    }
    let after = target.watched.cpu();
    talk.drain(progress).await;
    let mut flaws = Vec::new();
    watch(&talk.shared.tally);
    let connected = talk.connected;
    let (evidence, noted) = talk.evidence(target, progress, &mut flaws).await?;
    let deliveries = deliveries_within(&evidence, &(0..until_us));
    Ok(Outcome {
        samples: noted.samples,
        visits: noted.visits,
        window_us: 0..until_us,
        cpu: after.since(&before, duration, deliveries),
        servers: servers(layout, target),
        planned: None,
        traced: None,
        tripped: None,
        evidence,
        connected,
        flaws,
    })
}
