//! Whether a server's memory or its open files grow.

use crate::{drill::Check, procfs};

/// What comes before this share of the looks doesn't count: of an hour, the first ten minutes.
const SETTLING_PARTS: usize = 6;
/// Looks of which the median is compared, at both ends.
const COMPARED: usize = 3;
/// Fewer looks, one each minute, say nothing.
const LOOKS_MIN: usize = 10;
/// By so much memory may grow.
const MEMORY_GROWTH_MAX: f64 = 0.05;
/// By so many files: connections of the reading pool come and go.
const FILES_GROWTH_MAX: usize = 8;
const MIB: f64 = 1024.0 * 1024.0;

/// What was seen of a server, each minute.
#[derive(Debug, Default)]
pub(super) struct Growth {
    memory_bytes: Vec<u64>,
    files: Vec<usize>,
}

impl Growth {
    pub(super) fn look(&mut self, pid: Option<u32>) {
        if let Some(pid) = pid {
            self.memory_bytes.extend(procfs::resident_bytes(pid));
            self.files.extend(procfs::open_files(pid));
        }
    }

    /// What holds, and why nothing can be said.
    pub(super) fn judge(self) -> (Vec<Check>, Vec<String>) {
        let (Some(memory), Some(files)) = (ends(&self.memory_bytes), ends(&self.files)) else {
            let looks = self.memory_bytes.len();
            let why =
                format!("memory was looked at {looks} times, and it takes {LOOKS_MIN}: soak for longer");
            return (Vec::new(), vec![why]);
        };
        let growth = memory.1 as f64 / memory.0 as f64 - 1.0;
        let checks = vec![
            Check {
                what: format!("memory grows by less than {:.0} %", MEMORY_GROWTH_MAX * 100.0),
                measured: format!(
                    "{:.1} → {:.1} MiB, {:+.1} %",
                    memory.0 as f64 / MIB,
                    memory.1 as f64 / MIB,
                    growth * 100.0
                ),
                holds: growth < MEMORY_GROWTH_MAX,
            },
            Check {
                what: "no files stay open".to_owned(),
                measured: format!("{} → {}", files.0, files.1),
                holds: files.1 <= files.0 + FILES_GROWTH_MAX,
            },
        ];
        (checks, Vec::new())
    }
}

/// The median after settling, and that at the end; none of too few.
fn ends<T: Copy + Ord>(looks: &[T]) -> Option<(T, T)> {
    let settled = &looks[looks.len() / SETTLING_PARTS..];
    let is_enough = looks.len() >= LOOKS_MIN;
    is_enough.then(|| (median(&settled[..COMPARED]), median(&settled[settled.len() - COMPARED..])))
}

fn median<T: Copy + Ord>(looks: &[T]) -> T {
    let mut sorted = looks.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(memory_mib: impl Iterator<Item = u64>, files: impl Iterator<Item = usize>) -> Vec<bool> {
        let memory_bytes = memory_mib.map(|mib| mib << 20).collect();
        let (checks, invalid) = Growth { memory_bytes, files: files.collect() }.judge();
        assert_eq!(checks.is_empty(), !invalid.is_empty());
        checks.iter().map(|check| check.holds).collect()
    }

    #[test]
    fn what_grows_after_it_has_settled_is_found() {
        let (steady, growing) = (|| (0..60).map(|_| 100), || (0..60).map(|minute| 100 + minute / 2));
        assert_eq!(judged(steady(), (0..60).map(|_| 300)), [true, true]);
        assert_eq!(judged(growing(), (0..60).map(|_| 300)), [false, true]);
        assert_eq!(judged(steady(), (0..60).map(|minute| 300 + minute)), [true, false]);
        let settling = (0..60).map(|minute| if minute < 10 { 50 + minute } else { 100 });
        assert_eq!(judged(settling, (0..60).map(|_| 300)), [true, true]);
    }

    #[test]
    fn a_short_soak_says_nothing() {
        assert_eq!(judged((0..9).map(|_| 100), (0..9).map(|_| 300)), [true; 0]);
    }
}
