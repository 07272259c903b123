//! A small filesystem in memory, for a database that runs out of space.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::User,
};

/// The file that takes up what is left.
const BALLAST: &str = "ballast";
const CHUNK_BYTES: usize = 64 * 1024;

/// Mounts one of so many bytes. An error says what it takes.
pub(super) fn mount_at(folder: &Path, bytes: u64, owner: Option<&User>) -> anyhow::Result<()> {
    let owner = owner.map_or_else(String::new, |user| format!(",uid={},gid={}", user.uid, user.gid));
    let options = format!("size={bytes},mode=0700{owner}");
    let mounted = mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()));
    mounted.map_err(|error| anyhow::anyhow!("can't mount a small filesystem, which takes root ({error})"))
}

/// Takes it away, if there is one.
pub(super) fn unmount(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let place = folder.display().to_string();
    if mounts.lines().any(|line| line.split(' ').nth(1) == Some(&place)) {
        let _ = umount2(folder, MntFlags::MNT_DETACH);
    }
}

/// Whether this process may mount one.
pub(crate) fn is_possible() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    mount_at(folder.path(), 65_536, None)?;
    unmount(folder.path());
    Ok(())
}

/// Fills what is left of the filesystem that holds the folder.
pub(super) fn fill(folder: &Path) -> anyhow::Result<()> {
    let (mut ballast, chunk) = (File::create(ballast(folder))?, vec![0; CHUNK_BYTES]);
    loop {
        match ballast.write(&chunk) {
            Ok(written) if written > 0 => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives the space back.
pub(super) fn clear(folder: &Path) -> anyhow::Result<()> {
    Ok(fs::remove_file(ballast(folder))?)
}

fn ballast(folder: &Path) -> PathBuf {
    folder.join(BALLAST)
}
