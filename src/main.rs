//! The `hopline` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hopline::{
    clock,
    config::{Config, ConfigErrors, Database, DatabaseArgs, ServeArgs},
    fault, files, mint,
    mint::TokenArgs,
    operate::{self, FaultArgs, HealthArgs},
    replay::{self, ReplayArgs},
    schema, server, shutdown,
    telemetry::{logs, metrics, trace},
};

/// A chat server that persists to PostgreSQL first, broadcasts over Redis and times every hop.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done · 1 could not start or drain, or is not ready · 2 unknown \
    flag · 64 the configuration can't be used"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server. When clients may come it prints one line of JSON with its addresses
    #[command(after_help = "Example:\n  \
        hopline serve --node a --database-url postgres://localhost/hopline --redis-url redis://localhost/\n\n\
        Logs go to standard error; RUST_LOG filters them (default: hopline=info,warn).")]
    Serve(Box<ServeArgs>),
    /// Bring the database's schema up to date, as the role that owns it
    Migrate(DatabaseArgs),
    /// Say nothing if a server is ready, else what it lacks
    Health(HealthArgs),
    /// Switch faults in a server that was started with --fault-switches
    #[command(after_help = "Examples:\n  \
        hopline fault delay publish 20        every message waits 20 ms before it is published\n  \
        hopline fault delay persist 2 --serial  at most 500 messages a second, and a queue\n  \
        hopline fault lose 0.01               one message in a hundred does not come from Redis\n  \
        hopline fault clear")]
    Fault(FaultArgs),
    /// Print what servers published to Kafka, as lines of JSON, up to now
    #[command(after_help = "Examples:\n  \
        hopline replay --kafka-brokers localhost:9092 --from-offset 0\n  \
        hopline replay --kafka-brokers localhost:9092 --from-time 2026-08-01T12:00:00Z --channel general\n\n\
        A channel's messages are in one partition, in order; partitions are read side by side. A message that was published \
        twice, as after a crash, is there twice: the same channel and seq.")]
    Replay(ReplayArgs),
    /// Make a token, for trying out a server with --auth jwt
    #[command(after_help = "Example:\n  \
        openssl rand -hex 32 > secret\n  \
        hopline token --secret-file secret --issuer me --audience chat --sub alice --read 'general,team-*' --write general")]
    Token(TokenArgs),
}

/// `EX_USAGE` of sysexits.h.
const EXIT_CONFIG: u8 = 64;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => Config::new(&args).map_err(Failure::from).and_then(serve),
        Command::Migrate(args) => {
            Database::new(&args).map_err(Failure::from).and_then(|database| ask(schema::migrate(&database)))
        }
        Command::Health(args) => ask(operate::health(&args)),
        Command::Fault(args) => ask(operate::fault(&args)),
        Command::Replay(args) => replay::replay(&args),
        Command::Token(args) => mint::token(args).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hopline: {error}");
            if error.is::<ConfigErrors>() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn ask<E: Into<Failure>>(question: impl Future<Output = Result<(), E>>) -> Result<(), Failure> {
    question.await.map_err(E::into)
}

#[tokio::main]
async fn serve(config: Config) -> Result<(), Failure> {
    clock::shift(config.clock_shift_ms);
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "hopline=info,warn".into());
    let metrics = if config.metrics { Some(metrics::install()?) } else { None };
    let traces = trace::start(&config.node)?;
    logs::start(&filter)?;
    // Both listeners have so many that speak HTTP.
    let connections_max = config.client.limits.connections_max + 2 * config.http.connections_max;
    files::complain_of_limit(files::raise_limit(), connections_max);
    if config.fault_switches {
        tracing::warn!("faults can be switched on the admin listener");
        fault::enable();
    }
    let shutdown = shutdown::on_signal()?;
    let served = server::run(config, metrics, shutdown, |ready| {
        println!("{}", serde_json::json!(ready));
    });
    let served = served.await;
    tokio::task::spawn_blocking(|| traces.shut_down()).await?;
    Ok(served?)
}
