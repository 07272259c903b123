//! A real browser without a window.

use std::{path::Path, process::Command};

/// What became of a page.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The document as the browser understood it.
    pub(crate) dom: String,
    /// What it complained of, or scripts said.
    pub(crate) console: Vec<String>,
}

/// Opens a file in Chromium, in a window of this width, with no way to reach anything else.
pub(crate) fn open(page: &Path, width: u32) -> Opened {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
        .args(["--proxy-server=127.0.0.1:1", "--host-resolver-rules=MAP * 127.0.0.1:1"])
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--window-size={width},1200"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium is installed: scripts/setup --tests");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = String::from_utf8_lossy(&output.stderr);
    let console = log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
    Opened { dom: String::from_utf8(output.stdout).unwrap(), console }
}
