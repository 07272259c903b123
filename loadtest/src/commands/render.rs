//! `render`: what is generated from the budget.

use std::{
    env,
    io::{Write, stdout},
    path::PathBuf,
};

use anyhow::Context;

use crate::{
    budget::Budget,
    cli::RenderArgs,
    exit::Exit,
    render::{BUDGET, files, stale, write},
};

pub(super) fn execute(args: &RenderArgs) -> anyhow::Result<Exit> {
    let root = root()?;
    let files = files(&Budget::load(Some(&root.join(BUDGET)))?);
    let stale = stale(&root, &files)?;
    let mark = if args.check {
        "stale"
    } else {
        write(&root, &files)?;
        "written"
    };
    let mut out = stdout().lock();
    for path in &stale {
        writeln!(out, "{mark}: {}", path.display())?;
    }
    if stale.is_empty() {
        writeln!(out, "{} files are as the budget makes them", files.len())?;
    }
    Ok(if args.check && !stale.is_empty() { Exit::Fail } else { Exit::Pass })
}

/// The repository around the current folder.
fn root() -> anyhow::Result<PathBuf> {
    let folder = env::current_dir()?;
    let root = folder.ancestors().find(|folder| folder.join(BUDGET).is_file());
    root.map(PathBuf::from)
        .with_context(|| format!("there is no {BUDGET} in {} or above it", folder.display()))
}
