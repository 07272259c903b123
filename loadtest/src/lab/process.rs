//! A process of the lab: started with a log of its own, ended with the lab.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use super::folder::Folder;

/// How often a process is looked at while one waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of the log that an error shows.
const LOG_LINES_SHOWN: usize = 20;

/// What a process is, which decides how it is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Initdb,
    Postgres,
    Redis,
    Kafka,
    Server,
    Observer,
}

impl Role {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Initdb => "initdb",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
            Self::Server => "server",
            Self::Observer => "observer",
        }
    }
}

/// A place for a process that can be started, ended and started again.
#[derive(Debug)]
pub(super) struct Process {
    role: Role,
    /// How errors call it.
    name: String,
    /// Its standard error, and its standard output unless that is wanted apart.
    log: PathBuf,
    folder: Arc<Folder>,
    child: Mutex<Option<Child>>,
}

impl Process {
    pub(super) fn new(role: Role, name: &str, log_file: &str, folder: &Arc<Folder>) -> Self {
        Self {
            role,
            name: name.to_owned(),
            log: folder.path().join(log_file),
            folder: Arc::clone(folder),
            child: Mutex::new(None),
        }
    }

    /// Starts the command in a process group of its own, out of reach of the terminal's Ctrl-C.
    /// Its output goes to the log, or to `stdout` where one is given.
    pub(super) fn spawn(&self, mut command: Command, stdout: Option<File>) -> anyhow::Result<()> {
        if self.is_running() {
            bail!("{} is running already", self.name);
        }
        let log = OpenOptions::new().append(true).create(true).open(&self.log)?;
        let stdout = match stdout {
            Some(file) => file,
            None => log.try_clone()?,
        };
        command.stdin(Stdio::null()).stdout(stdout).stderr(log).process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("can't start {} ({})", self.name, command.get_program().display()))?;
        self.folder.record(self.role, child.id())?;
        *self.lock() = Some(child);
        Ok(())
    }

    /// The process id; none while it isn't running.
    pub(super) fn pid(&self) -> Option<u32> {
        self.is_running().then(|| self.lock().as_ref().map(Child::id))?
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.try_wait(), Ok(None)) && self.lock().is_some()
    }

    /// Sends a signal to the process alone; does nothing if it isn't running.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Waits until `probe` finds the process ready. An error shows the end of its log.
    pub(super) async fn ready<T>(
        &self,
        limit: Duration,
        mut probe: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(found) = probe() {
                return Ok(found);
            }
            if let Some(status) = self.try_wait()? {
                return Err(self.complaint(&format!("ended with {status} before it was ready")));
            }
            if Instant::now() > deadline {
                return Err(self.complaint(&format!("wasn't ready within {limit:?}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the process ends by itself or by a signal that was sent.
    pub(super) async fn exit(&self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(self.complaint(&format!("didn't end within {limit:?}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sends `signal`, then SIGKILL to the whole group if the process hasn't ended within `limit`.
    /// Blocks: for taking the lab down, where there may be no runtime any more.
    pub(super) fn end(&self, signal: Signal, limit: Duration) {
        self.signal(signal);
        self.signal(Signal::SIGCONT);
        if !wait_until(limit, || !self.is_running()) {
            self.kill();
        }
    }

    /// Ends the process and its group at once, and waits for it: it can't refuse.
    pub(super) fn kill(&self) {
        let mut child = self.lock();
        if let Some(child) = child.as_mut()
            && matches!(child.try_wait(), Ok(None))
        {
            let _ = i32::try_from(child.id()).map(|group| killpg(Pid::from_raw(group), Signal::SIGKILL));
            let _ = child.wait();
        }
    }

    /// An error that says what happened, shows the log's last lines and where the rest is.
    pub(super) fn complaint(&self, what: &str) -> anyhow::Error {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n    ");
        let tail = if tail.is_empty() { "(it has logged nothing)" } else { &tail };
        anyhow!(
            "{} {what}. The end of its log:\n    {tail}\nThe whole log is {} \
             (`--keep` leaves it there after the lab has gone).",
            self.name,
            self.log.display()
        )
    }

    /// Everything that the process has logged.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit status, once it has ended; none as well if it never ran.
    fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.lock().as_mut().map_or(Ok(None), Child::try_wait)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().expect("no holder panics")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Looks again and again until `condition` holds; whether it did within `limit`. Blocks.
pub(super) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        #[expect(clippy::disallowed_methods, reason = "drop can't await; the lab is being taken down")]
        thread::sleep(LOOK_EVERY);
    }
}
