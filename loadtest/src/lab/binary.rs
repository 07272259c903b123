//! Which server binary the lab runs. A stale one must never be measured.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

const NAME: &str = "hopline";

/// The binary that was named; else, under Cargo, a freshly built one; else the one beside this program.
pub(super) fn find(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(anyhow!("there is no server binary at {}", path.display()))
        };
    }
    if let Some(cargo) = env::var_os("CARGO") {
        return build(Path::new(&cargo));
    }
    let own = env::current_exe().context("can't tell where this program is")?;
    let beside = own.with_file_name(NAME);
    if beside.is_file() {
        return Ok(beside);
    }
    bail!(
        "can't find the server: there is no {}. Build it (`cargo build --release --package hopline`), or name it \
         with --server-binary or HOPLINE_BIN.",
        beside.display()
    )
}

/// One line of `cargo build --message-format=json`.
#[derive(Deserialize)]
struct BuildMessage {
    executable: Option<PathBuf>,
}

/// `cargo run` has built the load generator only: the server may be older than its source.
fn build(cargo: &Path) -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the load generator's package has no parent folder")?;
    // What `cargo run` tells this program of its own package would make build scripts that watch it, such as
    // ring's, run again, and half the tree with them, each time.
    let of_this_package = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os().filter(|(name, _)| of_this_package(name)) {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--release", "--quiet", "--package", NAME, "--bin", NAME])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(workspace)
        .stderr(Stdio::inherit())
        .output()
        .context("can't run Cargo to build the server")?;
    if !output.status.success() {
        bail!("the server doesn't build; Cargo says why above");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<BuildMessage>(line).ok()?.executable)
        .find(|path| path.file_stem().is_some_and(|stem| stem == NAME))
        .context("Cargo built the server but didn't say where")
}
