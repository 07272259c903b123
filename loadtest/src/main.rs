//! The program: reads the command line, and makes sure that a signal takes the lab down in order.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use hopline_loadtest::{
    cli::{Cli, Command},
    commands,
    exit::Exit,
};
use tokio::signal::unix::{SignalKind, signal};

/// The system under test needs the processors, too.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("can't start the runtime");
    let exit = runtime.and_then(|runtime| runtime.block_on(execute(cli.command)));
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::of(&error).into()
        }
    }
}

/// A signal drops the command, and with it the lab.
async fn execute(command: Command) -> anyhow::Result<Exit> {
    let runs_until_interrupted = matches!(command, Command::Lab(_));
    tokio::select! {
        result = commands::execute(command) => result,
        signal = interrupted() => {
            signal?;
            eprintln!("interrupted, taking everything down");
            Ok(if runs_until_interrupted { Exit::Pass } else { Exit::Invalid })
        }
    }
}

async fn interrupted() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
