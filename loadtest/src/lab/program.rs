//! The programs that are installed on this machine.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::anyhow;

/// A program from PATH; an error says how to install it.
pub(super) fn find_program(name: &str, how_to_install: &str) -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| anyhow!("`{name}` isn't installed. {how_to_install}"))
}

/// The first version number in what `program --version` prints.
pub(super) fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_version = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    text.split([' ', '=', '\n']).find(is_version).map(str::to_owned)
}
