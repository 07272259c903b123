//! What `idle` reports.

use serde::Serialize;

use super::{
    Conclusion, Report, Style,
    terminal::{MIB, ending, line},
};

/// The report of `idle`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IdleReport {
    /// How it ended.
    pub(crate) result: Conclusion,
    /// Connections that were asked for.
    pub(crate) connections: usize,
    /// Those that were still open at the end.
    pub(crate) open: usize,
    /// For how long they were held.
    pub(crate) held_s: u64,
    /// Pings that the server sent and the clients answered.
    pub(crate) pings: u64,
    /// The server's resident memory before, in bytes.
    pub(crate) before_bytes: u64,
    /// The same with all connections open, in bytes.
    pub(crate) after_bytes: u64,
    /// The difference for each connection, in bytes.
    pub(crate) bytes_per_connection: u64,
    /// What it may be.
    pub(crate) bytes_per_connection_max: u64,
    /// Why it proves nothing; empty if it is valid.
    pub(crate) invalid: Vec<String>,
}

impl Report for IdleReport {
    fn text(&self, _: Style) -> String {
        let mut text = String::new();
        line(
            &mut text,
            "Connections",
            &format!(
                "{} of {} still open after {} s; {} pings answered",
                self.open, self.connections, self.held_s, self.pings
            ),
        );
        line(
            &mut text,
            "Memory",
            &format!(
                "{:.1} MiB before, {:.1} MiB with all of them",
                self.before_bytes as f64 / MIB,
                self.after_bytes as f64 / MIB
            ),
        );
        line(
            &mut text,
            "Each",
            &format!(
                "{:.1} KiB; the limit is {:.1} KiB",
                self.bytes_per_connection as f64 / 1024.0,
                self.bytes_per_connection_max as f64 / 1024.0
            ),
        );
        ending(&mut text, self.result, &self.invalid);
        text
    }
}
