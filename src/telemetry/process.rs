//! What the process and its runtime cost. Read when someone asks, not while messages pass.

use std::time::Duration;

use metrics::{Gauge, Unit};
use metrics_process::Collector;
use tokio::runtime::RuntimeMetrics;

use super::labels::{Label, ReaderState};

/// Connections that read from PostgreSQL, by what they do.
#[derive(Clone, Copy, Debug)]
pub struct Readers {
    /// Wait for a read.
    pub idle: usize,
    /// Read.
    pub used: usize,
}

/// Gauges that are set just before they are rendered.
pub struct Process {
    collector: Collector,
    runtime: RuntimeMetrics,
    workers: Gauge,
    tasks: Gauge,
    queue_tasks: Gauge,
    busy_seconds: Gauge,
    readers: Vec<(ReaderState, Gauge)>,
}

impl Process {
    /// Of this process and this runtime.
    pub fn new(runtime: RuntimeMetrics) -> Self {
        let collector = Collector::default();
        collector.describe();
        metrics::describe_gauge!("hopline_build_info", "The server that this is: always 1.");
        let version = env!("CARGO_PKG_VERSION");
        metrics::gauge!("hopline_build_info", "version" => version).set(1.0);
        let gauge = |name: &'static str, help: &'static str| {
            metrics::describe_gauge!(name, Unit::Count, help);
            metrics::gauge!(name)
        };
        let readers = "hopline_postgres_connections";
        metrics::describe_gauge!(readers, Unit::Count, "Connections that read from PostgreSQL.");
        Self {
            collector,
            runtime,
            workers: gauge("hopline_runtime_workers", "Threads of the runtime."),
            tasks: gauge("hopline_runtime_tasks", "Tasks of the runtime that are alive."),
            queue_tasks: gauge(
                "hopline_runtime_queue_tasks",
                "Tasks that wait in the runtime's shared queue.",
            ),
            // Only grows, but a counter of the facade is a whole number.
            busy_seconds: gauge(
                "hopline_runtime_busy_seconds_total",
                "Time that the runtime's workers were busy.",
            ),
            readers: ReaderState::ALL
                .iter()
                .map(|state| (*state, metrics::gauge!(readers, "state" => state.label())))
                .collect(),
        }
    }

    /// Reads everything anew.
    pub fn collect(&self, readers: Readers) {
        self.collector.collect();
        let runtime = &self.runtime;
        self.workers.set(runtime.num_workers() as f64);
        self.tasks.set(runtime.num_alive_tasks() as f64);
        self.queue_tasks.set(runtime.global_queue_depth() as f64);
        let busy = (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker));
        self.busy_seconds.set(busy.sum::<Duration>().as_secs_f64());
        for (state, gauge) in &self.readers {
            let count = match state {
                ReaderState::Idle => readers.idle,
                ReaderState::Used => readers.used,
            };
            gauge.set(count as f64);
        }
    }
}
