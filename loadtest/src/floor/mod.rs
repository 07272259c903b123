//! What this machine can do at best: the services that a message needs, without a server between them. One operation at
//! a time, each a little after the last one, as on a system without load.

mod args;
mod broker;
mod commit;
mod socket;

use std::time::Duration;

use anyhow::Context;
use hopline::hop::{Hop, Origin};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::{
    lab::Lab,
    latency::{Key, Latencies, Measure, Series, Summary},
    progress::Progress,
};
pub use args::{FloorArgs, FloorFlag};

/// The pause after each operation.
const PAUSE: Duration = Duration::from_millis(1);
/// Operations that don't count.
const WARM_UP: u32 = 50;

/// How much is measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Effort {
    /// Operations of each kind.
    pub(crate) operations: u32,
    /// Recipients of a fan-out.
    pub(crate) recipients: usize,
    pub(crate) body_bytes: usize,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Floor {
    #[serde(flatten)]
    pub(crate) effort: Effort,
    /// From the publish to Redis until a subscriber has it, on one clock.
    pub(crate) redis: Summary,
    /// One row inserted and committed in PostgreSQL, with `synchronous_commit` on.
    pub(crate) commit: Summary,
    /// From the first write until the last recipient's WebSocket took it.
    pub(crate) socket: Summary,
    /// From the first write until the last recipient has read it.
    pub(crate) fan_out: Summary,
}

/// A hop of a run beside the floor under it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Multiple {
    pub(crate) hop: Hop,
    /// What the floor is made of.
    pub(crate) floor: &'static str,
    pub(crate) p50_ms: f64,
    pub(crate) floor_p50_ms: f64,
    pub(crate) p50_times: f64,
    pub(crate) p99_ms: f64,
    pub(crate) floor_p99_ms: f64,
    pub(crate) p99_times: f64,
}

impl Floor {
    /// Measures it on a lab's own services, which nothing else should use meanwhile.
    pub(crate) async fn measure(lab: &Lab, effort: Effort, progress: &mut Progress) -> anyhow::Result<Self> {
        progress.step("the floor: bare PostgreSQL");
        let own = "the floor is measured on a lab's own services";
        let database_url = lab.private_postgres().context(own)?.url();
        let commit = commit::measure(database_url, effort).await?;
        progress.step("the floor: bare Redis");
        let redis = broker::measure(lab.private_redis().context(own)?.url(), effort).await?;
        progress.step("the floor: bare WebSockets");
        let (socket, fan_out) = socket::measure(effort).await?;
        Ok(Self { effort, redis, commit, socket, fan_out })
    }

    /// The hops that have a floor. `send` is there if the run measured it; `total` is compared with all of them.
    pub(crate) fn multiples(&self, latencies: &Latencies) -> Vec<Multiple> {
        let summary = |hop, origin| {
            let key = Key { measure: Measure::Hop(hop), origin, recipient: None };
            let any = || latencies.series().find(|series| series.key.measure == key.measure);
            latencies.get(key).or_else(any).map(Series::summary)
        };
        let (redis, commit, socket, fan_out) = (self.redis, self.commit, self.socket, self.fan_out);
        let all = Summary {
            p50_ms: redis.p50_ms + commit.p50_ms + fan_out.p50_ms,
            // Each at its worst at the same time would be too much to ask: the worst one is enough.
            p99_ms: redis.p99_ms.max(commit.p99_ms).max(fan_out.p99_ms),
            ..Summary::default()
        };
        let hops = [
            (Hop::Persist, None, "a commit", commit),
            (Hop::Broadcast, Some(Origin::Own), "Redis", redis),
            (Hop::Send, None, "a WebSocket write", socket),
            (Hop::Total, None, "their sum", all),
        ];
        let multiple = |(hop, origin, name, floor): (Hop, _, _, Summary)| {
            let of_run = summary(hop, origin)?;
            Some(Multiple {
                hop,
                floor: name,
                p50_ms: of_run.p50_ms,
                floor_p50_ms: floor.p50_ms,
                p50_times: of_run.p50_ms / floor.p50_ms,
                p99_ms: of_run.p99_ms,
                floor_p99_ms: floor.p99_ms,
                p99_times: of_run.p99_ms / floor.p99_ms,
            })
        };
        hops.into_iter().filter_map(multiple).collect()
    }
}

/// Durations of operations, of which the first ones don't count.
struct Timer {
    series: Series,
    seen: u32,
}

impl Timer {
    fn new() -> Self {
        Self { series: Series::new(Measure::Hop(Hop::Total), None, None), seen: 0 }
    }

    fn record(&mut self, since: Instant, until: Instant) {
        self.seen += 1;
        if self.seen > WARM_UP {
            let passed = until.saturating_duration_since(since).as_micros();
            self.series.record(u32::try_from(passed).unwrap_or(u32::MAX));
        }
    }

    fn summary(&self) -> Summary {
        self.series.summary()
    }
}

/// As many operations as count, and some before, each after a pause.
async fn each_operation(
    effort: Effort,
    mut operation: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for _ in 0..effort.operations + WARM_UP {
        operation().await?;
        sleep(PAUSE).await;
    }
    Ok(())
}
