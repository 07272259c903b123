//! The servers of the lab: real `hopline serve` processes.

use std::{
    env,
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Command, ExitStatus},
    sync::Arc,
    time::Duration,
};

use anyhow::ensure;
use nix::sys::signal::Signal;
use serde::Deserialize;

use super::{
    folder::Folder,
    port::free_port,
    process::{Process, Role},
};
use crate::http;

const START_LIMIT: Duration = Duration::from_secs(30);
/// The beginnings of the environment variables that servers do not inherit.
const LAB_VARIABLES: [&[u8]; 6] =
    [b"OTEL_", b"HOPLINE_AUTH", b"HOPLINE_JWT_", b"HOPLINE_BROKER", b"REDIS_URL", b"KAFKA_BROKERS"];
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// What a server is started with, the same each time.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) binary: PathBuf,
    pub(super) node: String,
    pub(super) database_url: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

/// A server of the lab, on two free loopback ports that it keeps when it is started again.
#[derive(Debug)]
pub struct Server {
    process: Process,
    launch: Launch,
    stdout: PathBuf,
    public: SocketAddr,
    admin: SocketAddr,
}

/// The line that a server prints once it accepts connections.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Ready { public: SocketAddr, admin: SocketAddr },
}

impl Server {
    pub(super) async fn launch(launch: Launch, folder: &Arc<Folder>) -> anyhow::Result<Self> {
        let node = &launch.node;
        let server = Self {
            process: Process::new(
                Role::Server,
                &format!("server {node}"),
                &format!("server-{node}.log"),
                folder,
            ),
            stdout: folder.path().join(format!("server-{node}.out")),
            public: SocketAddr::from(([127, 0, 0, 1], free_port()?)),
            admin: SocketAddr::from(([127, 0, 0, 1], free_port()?)),
            launch,
        };
        server.start().await?;
        Ok(server)
    }

    /// The server's name.
    pub fn node(&self) -> &str {
        &self.launch.node
    }

    /// Where it serves WebSockets and HTTP.
    pub fn public_addr(&self) -> SocketAddr {
        self.public
    }

    /// Where it serves its metrics.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// Its process id; none while it isn't running.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Starts it, on the same ports, and waits until it is ready.
    pub async fn start(&self) -> anyhow::Result<()> {
        let launch = &self.launch;
        let mut command = Command::new(&launch.binary);
        // The URLs hold passwords: they go through the environment, which other users can't read.
        command
            .arg("serve")
            .args(["--node", &launch.node])
            .args(["--listen", &self.public.to_string()])
            .args(["--admin-listen", &self.admin.to_string()])
            .args(&launch.args)
            .env("DATABASE_URL", &launch.database_url);
        // Whether a lab's servers are traced, whom they let in and how they meet is the lab's business.
        let is_the_labs = |name: &[u8]| LAB_VARIABLES.iter().any(|beginning| name.starts_with(beginning));
        for (name, _) in env::vars_os().filter(|(name, _)| is_the_labs(name.as_encoded_bytes())) {
            command.env_remove(name);
        }
        command.envs(launch.env.iter().cloned());
        self.process.spawn(command, Some(File::create(&self.stdout)?))?;
        self.process.ready(START_LIMIT, || self.is_ready()).await
    }

    /// Crashes it (SIGKILL).
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Asks it to drain (SIGTERM) and waits until it has ended.
    pub async fn terminate(&self) -> anyhow::Result<ExitStatus> {
        self.process.signal(Signal::SIGTERM);
        self.process.exit(DRAIN_LIMIT).await
    }

    /// Waits until it ends by itself.
    pub async fn ended(&self) -> anyhow::Result<ExitStatus> {
        self.process.exit(DRAIN_LIMIT).await
    }

    /// Drains it if it is running, and starts it again on the same ports.
    pub async fn restart(&self) -> anyhow::Result<()> {
        if self.process.is_running() {
            self.terminate().await?;
        }
        self.start().await
    }

    /// Stops it where it is, as if its machine hung (SIGSTOP): connections stay open, unanswered.
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Sets all its fault switches, as `docs/TELEMETRY.md` lists them. It must have been started with `--fault-switches`.
    pub async fn switch_faults(&self, switches: &serde_json::Value) -> anyhow::Result<()> {
        let url = format!("http://{}/faults", self.admin);
        let answered = http::client(http::ANSWER_LIMIT).put(url).json(switches).send().await?;
        ensure!(answered.status().is_success(), "{} refuses: {}", self.node(), answered.text().await?);
        Ok(())
    }

    /// Everything that it has logged, over all its starts.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Asks it to end without waiting, so that several can drain at the same time.
    pub(super) fn ask_to_end(&self) {
        self.process.signal(Signal::SIGTERM);
        self.process.signal(Signal::SIGCONT);
    }

    /// Ends it for good, within the limit. Blocks.
    pub(super) fn end(&self, limit: Duration) {
        self.process.end(Signal::SIGTERM, limit);
    }

    fn is_ready(&self) -> Option<()> {
        let output = fs::read_to_string(&self.stdout).ok()?;
        // A line that is still being written doesn't count.
        let (line, _) = output.split_once('\n')?;
        let Event::Ready { public, admin } = serde_json::from_str(line).ok()?;
        (public == self.public && admin == self.admin).then_some(())
    }
}
