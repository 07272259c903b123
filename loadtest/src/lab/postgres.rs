//! The lab's PostgreSQL.

use std::{
    env, fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use sqlx::{Connection as _, PgConnection};

use super::{
    folder::Folder,
    port::free_port,
    process::{Process, Role},
    small_disk,
};
use crate::procfs;

const USER: &str = "hopline";
const DATABASE: &str = "postgres";
const DATA_FOLDER: &str = "postgres";
const INITDB_LIMIT: Duration = Duration::from_mins(1);
const START_LIMIT: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(10);
/// In the titles of those processes that serve a client, after the user's name.
const CLIENTS_BACKEND: &str = "hopline postgres 127.0.0.1";
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// For a small machine. What durability rests on stands here although it is the default, because the
/// claims are void without it. Shared memory comes from the data folder, so that a killed PostgreSQL
/// leaves none in `/dev/shm`.
const SETTINGS: [&str; 9] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "dynamic_shared_memory_type=mmap",
    "shared_buffers=128MB",
    "max_connections=100",
    "max_wal_size=2GB",
];

/// A PostgreSQL of the lab's own, on a free loopback port.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    binaries: PathBuf,
    data: PathBuf,
    port: u16,
    url: String,
    runs_as: Option<User>,
}

impl Postgres {
    /// Makes the database and starts it; its data lie on a filesystem of so many bytes, if that is said.
    pub(super) async fn launch(folder: &Arc<Folder>, bytes: Option<u64>) -> anyhow::Result<Self> {
        let port = free_port()?;
        let password = uuid::Uuid::new_v4().simple().to_string();
        let postgres = Self {
            process: Process::new(Role::Postgres, "PostgreSQL", "postgres.log", folder),
            binaries: find_binaries()?,
            data: folder.path().join(DATA_FOLDER),
            port,
            url: format!("postgres://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"),
            runs_as: user_to_run_as()?,
        };
        postgres.init(folder, &password, bytes).await?;
        postgres.start().await?;
        Ok(postgres)
    }

    /// Where it listens, with user and password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The postmaster's process id; none while it isn't running.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Starts it on the same port and waits until it accepts connections.
    pub async fn start(&self) -> anyhow::Result<()> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data).args(["-p", &self.port.to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        self.process.spawn(command, None)?;
        self.process.ready(START_LIMIT, || self.accepts_connections()).await
    }

    /// Crashes it: SIGKILL to the postmaster and all its children, and waits until they are gone.
    pub async fn kill(&self) {
        self.process.signal(Signal::SIGSTOP);
        let children = self.children();
        self.process.kill();
        for child in &children {
            send(*child, Signal::SIGKILL);
        }
        while children.iter().any(|child| procfs::exists(*child)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Crashes one backend that serves a client (SIGKILL); PostgreSQL then ends all others and recovers by itself. Returns
    /// whether there was one.
    pub fn kill_backend(&self) -> bool {
        let backend =
            self.children().into_iter().find(|child| procfs::title(*child).contains(CLIENTS_BACKEND));
        backend.inspect(|backend| send(*backend, Signal::SIGKILL)).is_some()
    }

    /// Returns once it takes a connection and answers.
    pub async fn answers(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while let Err(error) = self.execute(&["SELECT 1"]).await {
            if Instant::now() > deadline {
                return Err(error.context("PostgreSQL doesn't answer any more"));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Executes statements, each on its own, as the superuser that the servers are, too.
    pub async fn execute(&self, statements: &[&'static str]) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url).await?;
        for statement in statements {
            sqlx::query(*statement).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }

    /// Stops all its processes where they are, as if the machine hung (SIGSTOP).
    pub fn freeze(&self) {
        // The postmaster first, so that it starts no more children.
        self.process.signal(Signal::SIGSTOP);
        for child in self.children() {
            send(child, Signal::SIGSTOP);
        }
    }

    /// Lets all its processes go on after [`Self::freeze`].
    pub fn thaw(&self) {
        for child in self.children() {
            send(child, Signal::SIGCONT);
        }
        self.process.signal(Signal::SIGCONT);
    }

    /// Fills the filesystem that holds its data: see [`super::LabOptions::database_bytes`].
    pub fn fill_disk(&self) -> anyhow::Result<()> {
        small_disk::fill(&self.data)
    }

    /// Gives the space back, and starts it again if the lack of it has ended it.
    pub async fn clear_disk(&self) -> anyhow::Result<()> {
        small_disk::clear(&self.data)?;
        if self.pid().is_none() {
            self.start().await?;
        }
        self.answers().await
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it for good. Its data go with the folder, so it need not write them out. Blocks.
    pub(super) fn end(&self) {
        self.thaw();
        self.process.end(Signal::SIGQUIT, STOP_LIMIT);
        if let Some(folder) = self.data.parent() {
            release(folder);
        }
    }

    async fn init(&self, folder: &Arc<Folder>, password: &str, bytes: Option<u64>) -> anyhow::Result<()> {
        let password_file = folder.path().join("postgres.password");
        fs::write(&password_file, password)?;
        fs::create_dir(&self.data)?;
        if let Some(bytes) = bytes {
            small_disk::mount_at(&self.data, bytes, self.runs_as.as_ref())?;
        }
        if let Some(user) = &self.runs_as {
            for path in [&password_file, &self.data] {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            }
        }
        let mut command = self.command("initdb");
        command
            .arg("-D")
            .arg(&self.data)
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username", USER, "--auth", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C", "--no-sync"]);
        let initdb = Process::new(Role::Initdb, "initdb", "initdb.log", folder);
        initdb.spawn(command, None)?;
        let status = initdb.exit(INITDB_LIMIT).await?;
        fs::remove_file(password_file)?;
        if status.success() { Ok(()) } else { Err(initdb.complaint(&format!("ended with {status}"))) }
    }

    /// PostgreSQL refuses to run as root, and needs a current folder that its user may read.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir("/tmp").env_remove("PGDATA");
        if let Some(user) = &self.runs_as {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    /// The postmaster writes its id and its state to a file; that of an earlier one doesn't count.
    fn accepts_connections(&self) -> Option<()> {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = file.lines().next()?.trim().parse::<u32>().ok()?;
        let state = file.lines().nth(7)?.trim();
        (Some(pid) == self.pid() && state == "ready").then_some(())
    }

    fn children(&self) -> Vec<u32> {
        self.pid().map(procfs::children).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

/// The version of the PostgreSQL that a lab would use.
pub(crate) fn version() -> Option<String> {
    super::program::version_of(&find_binaries().ok()?.join("postgres"))
}

/// Gives back what a PostgreSQL below this folder leaves, however it ended: shared memory, and a filesystem of its own.
pub(super) fn release(folder: &Path) {
    release_shared_memory(folder);
    small_disk::unmount(&folder.join(DATA_FOLDER));
}

/// A PostgreSQL that was killed leaves a System V shared memory segment, unless it is started again.
/// Its id is in the file that it left as well.
fn release_shared_memory(folder: &Path) {
    let Ok(file) = fs::read_to_string(folder.join(DATA_FOLDER).join("postmaster.pid")) else {
        return;
    };
    if let Some(id) = file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
        let _ = Command::new("ipcrm").args(["-m", id]).output();
    }
}

fn send(pid: u32, signal: Signal) {
    let _ = i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), signal));
}

/// The folder that holds `initdb` and `postgres`: from PATH, else the newest of Debian's layout.
fn find_binaries() -> anyhow::Result<PathBuf> {
    let from_path = env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    env::split_paths(&from_path)
        .chain(debian.into_iter().map(|(_, path)| path))
        .find(|path| path.join("initdb").is_file() && path.join("postgres").is_file())
        .ok_or_else(|| {
            anyhow!(
                "PostgreSQL isn't installed: neither PATH nor /usr/lib/postgresql/*/bin has `initdb` and \
                 `postgres`. Install it (Debian, Ubuntu: `apt-get install postgresql`) or set DATABASE_URL."
            )
        })
}

fn user_to_run_as() -> anyhow::Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres").context("can't look up the user `postgres`")?;
    if user.is_none() {
        bail!(
            "PostgreSQL refuses to run as root, and there is no user `postgres`. Add it \
             (`useradd --system postgres`) or run this as another user."
        );
    }
    Ok(user)
}
