//! The `hopline` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hopline::{
    config::{Config, ServeArgs},
    server, shutdown,
    telemetry::{logs, metrics, trace},
};

/// A chat server that persists to PostgreSQL first, broadcasts over Redis and times every hop.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 drained and stopped · 1 could not start or drain · 2 unknown \
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
}

/// `EX_USAGE` of sysexits.h.
const EXIT_CONFIG: u8 = 64;

fn main() -> ExitCode {
    let Command::Serve(args) = Cli::parse().command;
    let config = match Config::new(&args) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("hopline: {errors}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hopline: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "hopline=info,warn".into());
    let metrics = metrics::install()?;
    let traces = trace::start(&config.node)?;
    logs::start(&filter)?;
    let shutdown = shutdown::on_signal()?;
    let served = server::run(config, metrics, shutdown, |ready| {
        println!("{}", serde_json::json!(ready));
    });
    let served = served.await;
    tokio::task::spawn_blocking(|| traces.shut_down()).await?;
    Ok(served?)
}
