//! What ran out.

use std::fs;

use serde::Serialize;

use crate::cpu::CpuUse;

/// From this share on a processor counts as used up: the rest is lost between tasks.
const USED_UP: f64 = 0.9;
/// A queue that holds what comes in so many seconds is filling.
const QUEUE_S: f64 = 0.02;

/// The servers' queues, by the metric that tells how long they are and what they lead to.
pub(crate) const QUEUES: [(&str, &str); 3] = [
    ("hopline_persist_queue_messages", "persist"),
    ("hopline_publish_queue_messages", "publish"),
    ("hopline_receive_queue_messages", "receive"),
];

/// What a stage used.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Resources {
    /// Processor time.
    pub(crate) cpu: CpuUse,
    /// The share of all processors that was busy, whoever used them; none if the system doesn't tell.
    pub(crate) machine_busy: Option<f64>,
    /// How many processors those are.
    pub(crate) cores: usize,
    /// The longest that each queue was, over all servers; empty if they don't tell.
    pub(crate) queues: Vec<(&'static str, f64)>,
}

/// Time that all processors were busy and that passed on them, in clock ticks since boot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    busy: f64,
    all: f64,
}

impl Ticks {
    pub(crate) fn now() -> Option<Self> {
        Self::parse(fs::read_to_string("/proc/stat").ok()?.lines().next()?)
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<f64> =
            line.split_ascii_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>().ok()?;
        // Guests' time is part of the users' already.
        let all: f64 = fields.get(..8)?.iter().sum();
        let idle = fields.get(3)? + fields.get(4)?;
        Some(Self { busy: all - idle, all })
    }

    /// The share of the time since then that processors were busy.
    pub(crate) fn busy_since(self, earlier: Self) -> f64 {
        (self.busy - earlier.busy) / (self.all - earlier.all).max(1.0)
    }
}

impl Resources {
    /// What ran out first at this rate, as far as anything shows it.
    pub(crate) fn first_out(&self, rate_per_s: f64) -> String {
        let cpu = &self.cpu;
        let share = |seconds: Option<f64>| seconds.unwrap_or_default() / cpu.window_s;
        if share(cpu.redis_busiest_s) >= USED_UP {
            return "Redis: its one thread was busy".to_owned();
        }
        let by_process = [
            ("the servers", share(cpu.servers_s)),
            ("PostgreSQL", share(cpu.postgres_s)),
            ("the broker", share(cpu.broker_s)),
            ("the generator", share(Some(cpu.generator_s))),
        ];
        if let Some(busy) = self.machine_busy.filter(|busy| *busy >= USED_UP) {
            let known: f64 = by_process.iter().map(|(_, share)| share).sum();
            let others = ("others", (busy * self.cores as f64 - known).max(0.0));
            let parts: Vec<String> = by_process
                .into_iter()
                .chain([others])
                .map(|(name, share)| format!("{name} {:.0} %", share * 100.0))
                .collect();
            return format!("the machine's processors; of one core used {}", parts.join(", "));
        }
        let longest = self.queues.iter().max_by(|one, other| one.1.total_cmp(&other.1));
        match longest.filter(|(_, length)| *length >= rate_per_s * QUEUE_S) {
            Some((hop, length)) => {
                format!("{hop}: its queue held {length:.0} messages, with processors idle")
            }
            None => "nothing that shows: processors were idle and queues short".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn resources(redis_s: f64, busy: f64, queue: f64) -> Resources {
        let cpu = CpuUse {
            window_s: 10.0,
            by_server_s: BTreeMap::new(),
            generator_busiest: None,
            servers_s: Some(8.0),
            postgres_s: None,
            broker_s: Some(redis_s),
            redis_busiest_s: Some(redis_s),
            generator_s: 2.0,
            deliveries: 0,
            servers_us_per_delivery: None,
        };
        Resources {
            cpu,
            machine_busy: Some(busy),
            cores: 2,
            queues: vec![("persist", queue), ("publish", 1.0)],
        }
    }

    #[test]
    fn what_ran_out_is_named() {
        let first_out = |resources: Resources| resources.first_out(1_000.0);
        assert!(first_out(resources(9.5, 0.95, 500.0)).starts_with("Redis"));
        let processors = first_out(resources(1.0, 0.95, 500.0));
        assert!(
            processors.contains("the servers 80 %") && processors.contains("others 80 %"),
            "{processors}"
        );
        assert!(first_out(resources(1.0, 0.5, 500.0)).starts_with("persist"));
        assert!(first_out(resources(1.0, 0.5, 5.0)).starts_with("nothing"));
    }

    #[test]
    fn the_systems_busy_share_is_read() {
        let ticks = |line| Ticks::parse(line).unwrap();
        let earlier = ticks("cpu 100 0 100 700 100 0 0 0 0 0");
        let later = ticks("cpu 150 0 130 800 120 0 0 0 0 0");
        assert!((later.busy_since(earlier) - 0.4).abs() < 1e-9);
        assert!(Ticks::now().is_some());
    }
}
