//! What Linux tells of processes, read from `/proc`.

use std::{fs, time::Duration};

use nix::unistd::{SysconfVar, sysconf};

/// The fields of `/proc/PID/stat` that the load generator uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// It has ended, and no one has waited for it yet. Where nothing reaps orphans it stays so.
    is_zombie: bool,
    /// The parent's process id.
    pub(crate) parent: u32,
    /// User and system time of the process itself, in clock ticks.
    own_ticks: u64,
    /// The same of its children that have ended and were waited for.
    ended_children_ticks: u64,
    /// When it started, in clock ticks since boot. With the process id it names a process for good.
    pub(crate) start_ticks: u64,
}

impl Stat {
    /// Reads the figures of a process; none if it doesn't exist.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The command's name, in parentheses, may itself hold spaces and parentheses: fields count from the last one.
    fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // `fields[0]` is field 3 of the manual page proc(5).
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            is_zombie: fields.first() == Some(&"Z"),
            parent: u32::try_from(field(4)?).ok()?,
            own_ticks: field(14)? + field(15)?,
            ended_children_ticks: field(16)? + field(17)?,
            start_ticks: field(22)?,
        })
    }
}

/// Whether the process that was started at `start_ticks` still runs under this id.
pub(crate) fn is_running(pid: u32, start_ticks: u64) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.start_ticks == start_ticks && !stat.is_zombie)
}

/// Whether any process runs under this id.
pub(crate) fn exists(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| !stat.is_zombie)
}

/// The processes whose parent is `pid`.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&candidate| Stat::of(candidate).is_some_and(|stat| stat.parent == pid))
        .collect()
}

/// What a process calls itself: its command line, which some replace by what they do. Empty if it doesn't exist.
pub(crate) fn title(pid: u32) -> String {
    fs::read(format!("/proc/{pid}/cmdline"))
        .map(|text| String::from_utf8_lossy(&text).replace('\0', " "))
        .unwrap_or_default()
}

/// Open files of a process; none if it doesn't exist.
pub(crate) fn open_files(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// CPU time that a process has used; zero if it doesn't exist.
pub(crate) fn cpu_of_process(pid: u32) -> Duration {
    ticks(Stat::of(pid).map_or(0, |stat| stat.own_ticks))
}

/// CPU time that each of this process's threads has used, by thread id, with the thread's name.
pub(crate) fn cpu_of_own_threads() -> Vec<(u32, String, Duration)> {
    let Ok(entries) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let thread = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = Stat::parse(&fs::read_to_string(entry.path().join("stat")).ok()?)?;
        let name = fs::read_to_string(entry.path().join("comm")).ok()?.trim().to_owned();
        Some((id, name, ticks(stat.own_ticks)))
    };
    entries.flatten().filter_map(thread).collect()
}

/// CPU time that a process and its children, living and ended, have used.
pub(crate) fn cpu_of_family(pid: u32) -> Duration {
    let parent = Stat::of(pid).map_or(0, |stat| stat.own_ticks + stat.ended_children_ticks);
    let living: u64 = children(pid)
        .into_iter()
        .filter_map(Stat::of)
        .map(|stat| stat.own_ticks + stat.ended_children_ticks)
        .sum();
    ticks(parent + living)
}

/// Resident memory of a process, in bytes; none if it doesn't exist.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kib.parse::<u64>().ok()? * 1024)
}

fn ticks(count: u64) -> Duration {
    let per_second =
        sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|rate| u64::try_from(rate).ok()).unwrap_or(100);
    Duration::from_micros(count * 1_000_000 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 11 12 13 14 20 0 1 0 987 1 2";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            stat,
            Stat { is_zombie: false, parent: 7, own_ticks: 23, ended_children_ticks: 27, start_ticks: 987 }
        );
    }

    #[test]
    fn this_process_is_running_and_uses_memory() {
        let pid = std::process::id();
        let start_ticks = Stat::of(pid).unwrap().start_ticks;
        assert!(is_running(pid, start_ticks));
        assert!(!is_running(pid, start_ticks + 1));
        assert!(resident_bytes(pid).unwrap() > 100_000);
    }
}
