//! A closed loop: publishers that talk as fast as answers come.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{interval, sleep};

use super::{
    HEAD_START, Outcome, Tally, Target,
    crowd::{Crowd, Rules, Talk},
    deliveries_within, micros, servers,
};
use crate::{clock::Clock, cpu::CpuTimes, plan::Layout, progress::Progress, spans::Sampling};

/// Messages in one channel that it may reach; limits what a nonsensical sequence number costs.
const LENGTH_MAX: usize = 50_000_000;

/// What is done, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosedLoop<'a> {
    pub(crate) layout: &'a Layout,
    /// Messages that each publisher keeps unanswered.
    pub(crate) outstanding: usize,
    pub(crate) duration: Duration,
    /// Which messages are traced: then every frame carries a context. Without it servers decide.
    pub(crate) sampling: Option<Sampling>,
}

/// How fast answers came.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    /// Messages acknowledged in the time, a second.
    pub(crate) acknowledged_per_s: f64,
    /// Why it proves nothing, as far as the clients can tell.
    pub(crate) flaws: Vec<String>,
}

/// Lets publishers talk, and brings home what the clients know. `watch` is called every second with the tally, while they
/// talk and once more when everything has arrived.
pub(crate) async fn hammer(
    closed_loop: &ClosedLoop<'_>,
    target: &Target,
    progress: &mut Progress,
    mut watch: impl FnMut(&Tally),
) -> anyhow::Result<Outcome> {
    let until_us = micros(closed_loop.duration);
    let (talk, before) = talk(closed_loop, target, progress, &mut watch).await?;
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
        trouble: noted.trouble,
        window_us: 0..until_us,
        cpu: after.since(&before, closed_loop.duration, deliveries),
        servers: servers(closed_loop.layout, target),
        planned: None,
        traced: None,
        tripped: None,
        evidence,
        connected,
        flaws,
    })
}

/// Lets publishers talk, and only counts the answers.
pub(crate) async fn rate(
    closed_loop: &ClosedLoop<'_>,
    target: &Target,
    progress: &mut Progress,
) -> anyhow::Result<Rate> {
    let (talk, _) = talk(closed_loop, target, progress, |_| {}).await?;
    let acknowledged = talk.shared.tally.acknowledged_count();
    talk.drain(progress).await;
    let mut flaws = Vec::new();
    talk.gather(&mut flaws).await?;
    Ok(Rate { acknowledged_per_s: acknowledged as f64 / closed_loop.duration.as_secs_f64(), flaws })
}

/// Returns when the time is over, with the processor time used before it began; the last answers are still to come.
async fn talk(
    closed_loop: &ClosedLoop<'_>,
    target: &Target,
    progress: &mut Progress,
    mut watch: impl FnMut(&Tally),
) -> anyhow::Result<(Talk, CpuTimes)> {
    let ClosedLoop { layout, outstanding, duration, sampling } = *closed_loop;
    let rules = Rules { sampling, ..Rules::default() };
    let crowd = Crowd::connect(layout, target, |_| 0, LENGTH_MAX, rules, |_, _| None, progress).await?;
    let clock = Clock::starting_in(HEAD_START);
    let (mut talk, publishers) = crowd.listen(clock, duration);
    sleep(HEAD_START).await;
    let until_us = micros(duration);
    let last = u16::try_from(layout.channels - 1).context("too many channels")?;
    let before = target.watched.cpu();
    for (number, publisher) in publishers.into_iter().enumerate() {
        let shared = Arc::clone(&talk.shared);
        let stop = talk.stop();
        let mut random = StdRng::seed_from_u64(layout.seed.wrapping_add(number as u64));
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
    Ok((talk, before))
}
