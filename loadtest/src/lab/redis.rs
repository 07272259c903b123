//! The lab's Redis.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Duration,
};

use nix::sys::signal::Signal;

use super::{
    folder::Folder,
    port::free_port,
    process::{Process, Role},
    program::find_program,
};

const START_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_millis(200);
const HOW_TO_INSTALL: &str = "Install it (Debian, Ubuntu: `apt-get install redis-server`) or set REDIS_URL.";

/// A Redis of the lab's own, on a free loopback port, that writes nothing to disk.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    binary: PathBuf,
    config: PathBuf,
    addr: SocketAddr,
    password: String,
    url: String,
}

impl Redis {
    pub(super) async fn launch(folder: &Arc<Folder>) -> anyhow::Result<Self> {
        let redis = Self::place(folder, "redis", &new_password(), "")?;
        redis.start().await?;
        Ok(redis)
    }

    /// A place for one that is still to be started. `name` is that of its files; `further` are lines of its configuration.
    pub(super) fn place(
        folder: &Arc<Folder>,
        name: &str,
        password: &str,
        further: &str,
    ) -> anyhow::Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let redis = Self {
            process: Process::new(Role::Redis, "Redis", &format!("{name}.log"), folder),
            binary: find_program("redis-server", HOW_TO_INSTALL)?,
            config: folder.path().join(format!("{name}.conf")),
            addr,
            url: format!("redis://:{password}@{addr}/"),
            password: password.to_owned(),
        };
        redis.write_config(folder, further)?;
        Ok(redis)
    }

    /// Where it listens.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens, with its password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process id; none while it isn't running.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Starts it on the same port, empty, and waits until it answers. It must not be running.
    pub async fn start(&self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.binary);
        command.arg(&self.config);
        self.process.spawn(command, None)?;
        self.process.ready(START_LIMIT, || self.answers()).await
    }

    /// Crashes it (SIGKILL).
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Stops it where it is, as if its machine hung (SIGSTOP): connections stay open, unanswered.
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn write_config(&self, folder: &Folder, further: &str) -> anyhow::Result<()> {
        let config = format!(
            "bind {}\nport {}\nrequirepass {}\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\n{further}",
            self.addr.ip(),
            self.addr.port(),
            self.password,
            folder.path().display()
        );
        fs::write(&self.config, config)?;
        fs::set_permissions(&self.config, Permissions::from_mode(0o600))?;
        Ok(())
    }

    fn answers(&self) -> Option<()> {
        let mut stream = TcpStream::connect_timeout(&self.addr, ANSWER_LIMIT).ok()?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
        write!(stream, "AUTH {}\r\n", self.password).ok()?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).ok()?;
        (&answer == b"+OK\r\n").then_some(())
    }
}

/// A password that no one else knows.
pub(super) fn new_password() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The version of the Redis that a lab would use.
pub(crate) fn version() -> Option<String> {
    super::program::version_of(&find_program("redis-server", HOW_TO_INSTALL).ok()?)
}
