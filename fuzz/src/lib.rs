//! Fuzz targets: each takes any bytes and panics if something does not hold that must. `make fuzz` looks for such bytes,
//! and `tests/corpus.rs` tries those in `corpus/` with every test run. `docs/TESTING.md` says more.

mod envelope;
mod frames;
mod http;
mod trace_context;

use hopline_loadtest::properties;

/// What is tried, by its name.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the folder of its inputs in `corpus/`.
    pub name: &'static str,
    /// Panics if something does not hold.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 9] = [
    Target { name: "answer", run: |bytes| on_text(bytes, properties::answer) },
    Target { name: "budget", run: |bytes| on_text(bytes, properties::budget) },
    Target { name: "client_frame", run: |bytes| on_text(bytes, frames::check) },
    Target { name: "envelope", run: envelope::check },
    Target { name: "http", run: http::check },
    Target { name: "report", run: |bytes| on_text(bytes, properties::report) },
    Target { name: "requirement", run: |bytes| on_text(bytes, properties::requirement) },
    Target { name: "scenario", run: |bytes| on_text(bytes, properties::scenario) },
    Target { name: "trace_context", run: |bytes| on_text(bytes, trace_context::check) },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

fn on_text(bytes: &[u8], check: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
}
