//! Hands each message to its publisher when it is due.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use clap::{Args, value_parser};
use nix::sys::prctl::set_timerslack;
use tokio::sync::mpsc;

use crate::{clock::Clock, plan::Plan, scenario::Rate};

/// `pacer`.
#[derive(Clone, Debug, Args)]
pub struct PacerArgs {
    /// Messages a second.
    #[arg(long, default_value = "5000")]
    pub(crate) rate: Rate,
    /// For how long.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Jobs that may wait for one publisher. So many are only reached when the generator itself is stuck.
pub(crate) const JOBS_MAX: usize = 4_096;

/// A message that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) index: u32,
    pub(crate) channel: u16,
    pub(crate) intended_us: u32,
}

/// A thread of its own, since tokio's timer is a millisecond or two late. It sleeps and never spins,
/// because the system under test shares the processors; it keeps to the plan however slow that system is.
#[derive(Debug)]
pub(crate) struct Pacer {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    handed_over: Arc<AtomicU32>,
    overflowed: Arc<AtomicU64>,
}

impl Pacer {
    pub(crate) fn start(plan: Arc<Plan>, clock: Clock, publishers: Vec<mpsc::Sender<Job>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (handed_over, overflowed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
        let thread = {
            let (stop, overflowed) = (Arc::clone(&stop), Arc::clone(&overflowed));
            let handed_over = Arc::clone(&handed_over);
            let pace = move || {
                // Else the kernel may wake it 50 µs later than it could.
                let _ = set_timerslack(1);
                pace(&plan, clock, &publishers, &stop, (&handed_over, &overflowed));
            };
            thread::Builder::new().name("pacer".to_owned()).spawn(pace).expect("a thread can be started")
        };
        Self { thread: Some(thread), stop, handed_over, overflowed }
    }

    /// Whether every message has been handed over.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Messages that were due and handed over, or should have been.
    pub(crate) fn handed_over(&self) -> u32 {
        self.handed_over.load(Ordering::Relaxed)
    }

    /// No more messages leave.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Messages that didn't leave because their publisher had too many waiting, or had gone.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pace(
    plan: &Plan,
    clock: Clock,
    publishers: &[mpsc::Sender<Job>],
    stop: &AtomicBool,
    (handed_over, overflowed): (&AtomicU32, &AtomicU64),
) {
    for index in 0..plan.messages() {
        let intended = plan.intended(index);
        let wait = clock.moment(intended).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            #[expect(clippy::disallowed_methods, reason = "the thread is the pacer's own")]
            thread::sleep(wait);
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let job = Job { index, channel: plan.channel(index), intended_us: plan.intended_us(index) };
        if publishers[plan.publisher(index)].try_send(job).is_err() {
            overflowed.fetch_add(1, Ordering::Relaxed);
        }
        handed_over.store(index + 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{Layout, Workload};

    fn plan(publishers: usize) -> Arc<Plan> {
        let default = Workload::default();
        Arc::new(Plan::new(&Workload {
            layout: Layout { publishers, ..default.layout },
            rate_per_s: 10_000.0,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(20),
            ..default
        }))
    }

    #[tokio::test]
    async fn every_message_reaches_its_publisher_and_none_before_it_is_due() {
        let clock = Clock::starting_in(Duration::from_millis(5));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..4).map(|_| mpsc::channel(JOBS_MAX)).unzip();
        let pacer = Pacer::start(plan(4), clock, senders);
        let mut count = 0;
        for (publisher, mut receiver) in receivers.into_iter().enumerate() {
            while let Some(job) = receiver.recv().await {
                assert_eq!(job.index as usize % 4, publisher);
                assert!(clock.now_us() >= job.intended_us);
                count += 1;
            }
        }
        assert_eq!(count, 200);
        assert_eq!(pacer.overflowed(), 0);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_delays_nothing() {
        let (sender, _receiver) = mpsc::channel(10);
        let pacer = Pacer::start(plan(1), Clock::starting_in(Duration::ZERO), vec![sender]);
        while !pacer.is_finished() {
            thread::yield_now();
        }
        assert_eq!(pacer.overflowed(), 190);
    }
}
