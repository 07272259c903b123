//! The lab's temporary folder: who owns it, which processes run in it, and what becomes of it when
//! its owner was killed.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

use super::process::{Role, wait_until};
use crate::procfs;

const PREFIX: &str = "hopline-lab-";
/// Locked as long as the lab lives; the kernel lets go of it however the owner dies.
const OWNER_FILE: &str = "owner";
const PROCESSES_FILE: &str = "processes";
/// A folder without an owner file is being created, unless it is older than this.
const CREATION_LIMIT: Duration = Duration::from_mins(1);

/// A private folder under the system's temporary folder, removed with the lab.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    directory: Mutex<Option<TempDir>>,
    processes: Mutex<File>,
    _owner: File,
}

impl Folder {
    /// Makes the folder and takes its ownership. With `keep` it stays until the next lab starts.
    pub(super) fn create(keep: bool) -> anyhow::Result<Self> {
        let parent = std::env::temp_dir();
        // Others may pass through, since PostgreSQL runs as another user, but not look.
        let mut directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o711))
            .tempdir()
            .with_context(|| format!("can't make the lab's folder in {}", parent.display()))?;
        directory.disable_cleanup(keep);
        let path = directory.path().to_owned();
        let owner = claim(&path).context("can't take ownership of the lab's folder")?;
        let processes = OpenOptions::new().append(true).create(true).open(path.join(PROCESSES_FILE))?;
        Ok(Self {
            path,
            directory: Mutex::new(Some(directory)),
            processes: Mutex::new(processes),
            _owner: owner,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down a process, so that it is ended even if this one is killed.
    pub(super) fn record(&self, role: Role, pid: u32) -> io::Result<()> {
        let start_ticks = procfs::Stat::of(pid).map_or(0, |stat| stat.start_ticks);
        let mut file = self.processes.lock().expect("no holder panics");
        writeln!(file, "{} {pid} {start_ticks}", role.as_str())
    }

    /// Removes the folder. The processes in it must have ended.
    pub(super) fn remove(&self) {
        let directory = self.directory.lock().expect("no holder panics").take();
        drop(directory);
    }
}

/// The owner file appears under its name only once it is locked, so that no one sees it unlocked.
fn claim(folder: &Path) -> io::Result<File> {
    let unlocked = folder.join("owner.new");
    let owner = File::create(&unlocked)?;
    owner.try_lock()?;
    fs::rename(unlocked, folder.join(OWNER_FILE))?;
    Ok(owner)
}

/// Ends what labs left running whose owners were killed, and removes their folders. Returns these.
pub(super) fn sweep() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .map(|entry| entry.path())
        .filter(|path| sweep_folder(path))
        .collect()
}

/// Whether the folder was abandoned and is gone now. Those of other users stay, for want of permission.
fn sweep_folder(path: &Path) -> bool {
    let owner = match File::open(path.join(OWNER_FILE)) {
        Ok(owner) => owner,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return was_never_claimed(path) && fs::remove_dir_all(path).is_ok();
        }
        Err(_) => return false,
    };
    match owner.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return false,
    }
    if let Ok(processes) = fs::read_to_string(path.join(PROCESSES_FILE)) {
        // The last ones first: servers before the services that they use.
        for line in processes.lines().rev() {
            end_recorded(line);
        }
    }
    super::postgres::release(path);
    fs::remove_dir_all(path).is_ok()
}

fn was_never_claimed(path: &Path) -> bool {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > CREATION_LIMIT))
}

fn end_recorded(line: &str) {
    let mut words = line.split(' ');
    let (Some(role), Some(Ok(pid)), Some(Ok(start_ticks))) =
        (words.next(), words.next().map(str::parse::<u32>), words.next().map(str::parse::<u64>))
    else {
        return;
    };
    let running = || procfs::is_running(pid, start_ticks);
    let Ok(raw) = i32::try_from(pid) else { return };
    if !running() {
        return;
    }
    if role == Role::Postgres.as_str() {
        // PostgreSQL's own immediate shutdown ends its children and gives back shared memory.
        for child in procfs::children(pid) {
            let _ = i32::try_from(child).map(|child| kill(Pid::from_raw(child), Signal::SIGCONT));
        }
        let _ = kill(Pid::from_raw(raw), Signal::SIGQUIT);
        let _ = kill(Pid::from_raw(raw), Signal::SIGCONT);
        wait_until(Duration::from_secs(10), || !running());
    }
    if running() {
        let _ = killpg(Pid::from_raw(raw), Signal::SIGKILL);
        wait_until(Duration::from_secs(5), || !running());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_owners_folder_is_left_alone() {
        let folder = Folder::create(false).unwrap();
        assert!(!sweep_folder(folder.path()));
        assert!(folder.path().exists());
    }

    #[test]
    fn a_dead_owners_folder_goes_and_so_do_its_processes() {
        let folder = Folder::create(true).unwrap();
        let path = folder.path().to_owned();
        let mut child = {
            use std::os::unix::process::CommandExt;
            std::process::Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
        };
        folder.record(Role::Server, child.id()).unwrap();
        drop(folder);
        // The child is this process's: someone must wait for it, or it stays as a zombie.
        let waiter = std::thread::spawn(move || child.wait().unwrap());
        assert!(sweep_folder(&path));
        assert!(!path.exists());
        assert!(!waiter.join().unwrap().success());
    }

    #[test]
    fn a_folder_that_is_just_being_created_is_left_alone() {
        let directory = tempfile::Builder::new().prefix("hopline-new-").tempdir().unwrap();
        assert!(!sweep_folder(directory.path()));
    }

    #[test]
    fn the_folder_is_removed_with_its_owner() {
        let folder = Folder::create(false).unwrap();
        let path = folder.path().to_owned();
        folder.remove();
        assert!(!path.exists());
    }
}
