//! The lab's Kafka: one node that is broker and controller, from the jars that `make kafka` brings.

use std::{
    env, fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{anyhow, ensure};
use nix::sys::signal::Signal;

use super::{
    folder::Folder,
    port::free_port,
    process::{Process, Role},
    program::find_program,
};

/// A virtual machine with cold caches, on a machine that others use as well.
const START_LIMIT: Duration = Duration::from_mins(1);
const ANSWER_LIMIT: Duration = Duration::from_millis(200);
const HOW_TO_INSTALL: &str =
    "`make kafka` brings it into the build folder; HOPLINE_KAFKA names another folder with its jars.";
/// The heap is what limits it beside a lab; the rest is what Kafka's own start script says.
const JVM: [&str; 5] =
    ["-Xms512m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Dlog4j2.level=WARN"];
/// Any will do, as long as the folder's is the one that is started.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";

/// A Kafka of the lab's own, on a free loopback port.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    java: PathBuf,
    class_path: String,
    config: PathBuf,
    addr: SocketAddr,
}

impl Kafka {
    pub(super) async fn launch(folder: &Arc<Folder>) -> anyhow::Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let kafka = Self {
            process: Process::new(Role::Kafka, "Kafka", "kafka.log", folder),
            java: find_program("java", "Debian, Ubuntu: apt-get install default-jre-headless")?,
            class_path: format!("{}/*", jars()?.display()),
            config: folder.path().join("kafka.properties"),
            addr,
        };
        fs::write(&kafka.config, settings(addr, free_port()?, &folder.path().join("kafka")))?;
        kafka.format().await?;
        kafka.start().await?;
        Ok(kafka)
    }

    /// Where it listens: `host:port`.
    pub fn address(&self) -> String {
        self.addr.to_string()
    }

    /// Its process id; none while it isn't running.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Starts it on the same port with the topics that it had, and waits until it answers.
    pub async fn start(&self) -> anyhow::Result<()> {
        let mut command = self.java(JVM);
        command.arg("kafka.Kafka").arg(&self.config);
        self.process.spawn(command, None)?;
        self.process.ready(START_LIMIT, || TcpStream::connect_timeout(&self.addr, ANSWER_LIMIT).ok()).await?;
        Ok(())
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

    /// Writes what a folder needs before the first start.
    async fn format(&self) -> anyhow::Result<()> {
        let mut command = self.java(["-XX:TieredStopAtLevel=1"]);
        command.args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"]);
        command.arg(&self.config);
        self.process.spawn(command, None)?;
        let status = self.process.exit(START_LIMIT).await?;
        ensure!(status.success(), self.process.complaint("couldn't be set up"));
        Ok(())
    }

    fn java<const N: usize>(&self, options: [&str; N]) -> Command {
        let mut command = Command::new(&self.java);
        command.args(options).args(["-cp", &self.class_path]);
        command
    }
}

fn settings(addr: SocketAddr, controller_port: u16, data: &Path) -> String {
    let ip = addr.ip();
    format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@{ip}:{controller_port}\n\
         listeners=PLAINTEXT://{addr},CONTROLLER://{ip}:{controller_port}\n\
         controller.listener.names=CONTROLLER\nlog.dirs={}\n\
         offsets.topic.replication.factor=1\nauto.create.topics.enable=false\n",
        data.display()
    )
}

/// The folder with Kafka's jars: the one that is named, else that of the build folder which this program is in.
fn jars() -> anyhow::Result<PathBuf> {
    let named = env::var_os("HOPLINE_KAFKA").map(PathBuf::from);
    let own = env::current_exe().ok();
    let built = own.iter().flat_map(|own| own.ancestors()).map(|folder| folder.join("tools").join("kafka"));
    let found = named.into_iter().chain(built).find(|folder| folder.is_dir());
    found.ok_or_else(|| anyhow!("there is no Kafka. {HOW_TO_INSTALL}"))
}

/// The version of the Kafka that a lab would use.
pub(crate) fn version() -> Option<String> {
    let mut files = fs::read_dir(jars().ok()?).ok()?.flatten();
    files.find_map(|file| {
        let name = file.file_name().into_string().ok()?;
        Some(name.strip_prefix("kafka_2.13-")?.strip_suffix(".jar")?.to_owned())
    })
}
