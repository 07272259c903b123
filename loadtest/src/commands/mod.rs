//! The commands.

mod ab;
mod adr;
mod bandwidth;
mod calibrate;
mod capacity;
mod compare;
mod cost;
mod doctor;
mod drill;
mod floor;
mod idle;
mod lab;
mod options;
mod overload;
mod pacer;
mod render;
mod run;
mod saturate;
mod shortcomings;
mod slow_client;
mod soak;
mod sweep;
mod telemetry;
mod trace;
mod views;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    audit::Audit,
    cli::{Command, LabArgs, TargetArgs},
    clocks,
    cpu::Watched,
    exit::Exit,
    floor::{Effort, Floor, FloorFlag},
    lab::{Lab, LabOptions, Server},
    latency::{Latencies, Reconciliation},
    machine::Machine,
    plan::Layout,
    progress::Progress,
    report::{Measured, Memory, Pictures, Throughput, rows},
    run::{Outcome, Target},
    validity,
};

/// Traces that are written to a file.
const SAVED_TRACES_MAX: usize = 2_000;
/// Operations of each kind that show what a machine can do, before a run.
const FLOOR_OPERATIONS: u32 = 1_000;

/// Carries out a command. An error means that something is missing or wouldn't start.
pub async fn execute(command: Command) -> anyhow::Result<Exit> {
    raise_file_limit();
    match command {
        Command::Lab(args) => lab::execute(&args).await,
        Command::Run(args) => run::execute(&args).await,
        Command::Adr(args) if args.all => options::execute(&args).await,
        Command::Adr(args) => adr::execute(&args).await,
        Command::Doctor(args) => doctor::execute(&args).await,
        Command::Drill(args) => drill::execute(&args).await,
        Command::Soak(args) => soak::execute(&args).await,
        Command::Views(args) => views::execute(&args).await,
        Command::Calibrate(args) => calibrate::execute(&args).await,
        Command::Cost(args) => cost::execute(&args).await,
        Command::Saturate(args) => saturate::execute(&args).await,
        Command::Trace(args) => trace::execute(&args),
        Command::Idle(args) => idle::execute(&args).await,
        Command::Pacer(args) => pacer::execute(&args).await,
        Command::Compare(args) => compare::execute(&args),
        Command::Ab(args) => ab::execute(&args).await,
        Command::Capacity(args) => capacity::execute(&args).await,
        Command::Overload(args) => overload::execute(&args).await,
        Command::SlowClient(args) => slow_client::execute(&args).await,
        Command::Floor(args) => floor::execute(&args).await,
        Command::Bandwidth(args) => bandwidth::execute(&args).await,
        Command::Sweep(args) => sweep::execute(&args).await,
        Command::Render(args) => render::execute(&args),
    }
}

/// Each client takes a file descriptor here.
fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Where the load goes: a lab, or servers that were named.
struct Ground {
    lab: Option<Arc<Lab>>,
    /// The names of the target's servers.
    names: Vec<String>,
    target: Target,
}

impl Ground {
    /// `otlp_endpoint` is where a lab's servers send their spans.
    async fn prepare(
        args: &TargetArgs,
        otlp_endpoint: Option<String>,
        progress: &mut Progress,
    ) -> anyhow::Result<Self> {
        if !args.target.is_empty() {
            let credentials = args.credentials.read()?;
            let target = Target { servers: args.target.clone(), credentials, watched: Watched::default() };
            return Ok(Self {
                lab: None,
                names: args.target.iter().map(ToString::to_string).collect(),
                target,
            });
        }
        Self::on_lab(&args.lab, otlp_endpoint, progress).await
    }

    async fn on_lab(
        args: &LabArgs,
        otlp_endpoint: Option<String>,
        progress: &mut Progress,
    ) -> anyhow::Result<Self> {
        Ok(Self::of(start_lab(args, otlp_endpoint, progress).await?))
    }

    fn of(lab: Lab) -> Self {
        let servers = lab.servers();
        Self::part(Arc::new(lab), &servers)
    }

    /// Some of a lab's servers.
    fn part(lab: Arc<Lab>, servers: &[Arc<Server>]) -> Self {
        let target = Target::some(&lab, servers);
        Self {
            lab: Some(lab),
            names: servers.iter().map(|server| server.node().to_owned()).collect(),
            target,
        }
    }

    /// Whether a server runs on this machine.
    fn is_co_located(&self) -> bool {
        let is_here = |addr: &SocketAddr| UdpSocket::bind((addr.ip(), 0)).is_ok();
        self.lab.is_some() || self.target.servers.iter().any(is_here)
    }

    /// What the machine can do at best, if that is asked for.
    async fn floor(
        &self,
        flag: FloorFlag,
        layout: &Layout,
        progress: &mut Progress,
    ) -> anyhow::Result<Option<Floor>> {
        let Some(lab) = self.lab.as_ref().filter(|_| flag.floor) else {
            return Ok(None);
        };
        let recipients = layout.subscribers.div_ceil(layout.channels * self.target.servers.len());
        let effort = Effort { operations: FLOOR_OPERATIONS, recipients, body_bytes: layout.body_bytes.max() };
        Ok(Some(Floor::measure(lab, effort, progress).await?))
    }

    fn name(&self) -> String {
        match &self.lab {
            Some(_) => format!("lab, servers: {}", self.names.len()),
            None => self.names.join(", "),
        }
    }

    /// What a run measured, as a report has it.
    fn measured(
        &self,
        outcome: &Outcome,
        latencies: &Latencies,
        audit: Audit,
        memory: BTreeMap<String, Memory>,
        invalid: Vec<String>,
    ) -> Measured {
        let window = outcome.cpu.window_s;
        let machine = Machine::describe(self.lab.as_deref());
        let clocks = clocks::compare(outcome, &self.names);
        let mut notes = validity::notes(&outcome.cpu, machine.cores);
        notes.extend(clocks::notes(&clocks));
        let acknowledged = outcome
            .evidence
            .records
            .iter()
            .filter(|(_, record)| record.is_acknowledged() && outcome.window_us.contains(&record.answered_us))
            .count();
        Measured {
            target: self.name(),
            co_located: self.is_co_located(),
            clocks,
            notes,
            machine,
            clients: outcome.connected,
            throughput: Throughput {
                acknowledged_per_s: acknowledged as f64 / window,
                delivered_per_s: outcome.cpu.deliveries as f64 / window,
            },
            latencies: rows(outcome, latencies),
            reconciliation: Reconciliation::of(outcome),
            cpu: outcome.cpu.clone(),
            memory_bytes: memory,
            audit,
            traces: None,
            floor: None,
            pictures: Pictures::default(),
            invalid,
        }
    }
}

async fn start_lab(
    args: &LabArgs,
    otlp_endpoint: Option<String>,
    progress: &mut Progress,
) -> anyhow::Result<Lab> {
    progress.step("starting the lab");
    let options = LabOptions { otlp_endpoint, ..LabOptions::from(args) };
    if options.database_url.is_some() {
        progress.say("using the PostgreSQL that DATABASE_URL names instead of a private one");
    }
    if options.given_redis().is_some() {
        progress.say("using the Redis that REDIS_URL names instead of a private one");
    }
    let lab = Lab::start(options).await?;
    for folder in lab.swept() {
        progress.say(&format!("swept away what a killed lab had left in {}", folder.display()));
    }
    if args.keep {
        progress.say(&format!("the lab's logs: {}", lab.folder().display()));
    }
    Ok(lab)
}

/// Follows the servers' memory.
#[derive(Debug, Default)]
struct MemoryWatch(BTreeMap<String, Memory>);

impl MemoryWatch {
    fn look(&mut self, watched: &Watched) {
        for (node, bytes) in watched.resident_bytes() {
            let memory = self.0.entry(node).or_insert(Memory { start: bytes, ..Memory::default() });
            memory.max = memory.max.max(bytes);
            memory.end = bytes;
        }
    }
}
