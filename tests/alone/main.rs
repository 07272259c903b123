//! Tests of what takes how long. No other test runs beside them, so that what they measure is not each other.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails where it stands")]

#[path = "../it/support/browser.rs"]
mod browser;
mod capacity;
mod drills;
#[path = "../it/support/load.rs"]
mod load;
mod omission;
mod overload;
mod verdicts;

use std::path::PathBuf;

use hopline_loadtest::lab::{Lab, LabOptions};
use tokio::sync::{Mutex, MutexGuard};

/// One test at a time.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// A lab that has the machine to itself as long as the guard stands.
async fn lab(servers: usize, args: &[&str]) -> (MutexGuard<'static, ()>, Lab) {
    start(options(servers, args)).await
}

async fn start(options: LabOptions) -> (MutexGuard<'static, ()>, Lab) {
    let alone = MACHINE.lock().await;
    (alone, Lab::start(options).await.expect("the lab starts"))
}

fn options(servers: usize, args: &[&str]) -> LabOptions {
    LabOptions {
        servers,
        server_binary: Some(PathBuf::from(env!("CARGO_BIN_EXE_hopline"))),
        server_args: args.iter().map(ToString::to_string).collect(),
        ..LabOptions::default()
    }
}
