//! What happened, in virtual time.

use std::sync::{Mutex, OnceLock};

use tokio::time::Instant;

/// The events of one simulation, and the first thing that was wrong.
pub(crate) struct Log {
    started: Instant,
    lines: Mutex<Vec<String>>,
    violation: OnceLock<Violation>,
}

/// What must not happen.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) what: &'static str,
    pub(crate) details: String,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), lines: Mutex::default(), violation: OnceLock::new() }
    }

    pub(crate) fn add(&self, event: impl AsRef<str>) {
        let ms = self.started.elapsed().as_millis();
        self.lines.lock().unwrap().push(format!("{ms:>6} ms  {}", event.as_ref()));
    }

    pub(crate) fn violate(&self, what: &'static str, details: String) {
        self.add(format!("VIOLATION: {what}: {details}"));
        let _ = self.violation.set(Violation { what, details });
    }

    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.get()
    }

    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}
