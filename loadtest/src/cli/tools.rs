//! What needs no load: traces that are there already, generated files, programs and stacks.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{
    TRACES_FILE,
    parse::{parse_trace, resolve},
};
use crate::credentials::CredentialsArgs;

/// `trace`.
#[derive(Clone, Debug, Args)]
pub struct TraceArgs {
    /// A trace's identity or its beginning, or `slowest`.
    #[arg(value_name = "slowest|ID", value_parser = parse_trace)]
    pub trace: WhichTrace,
    /// Write the trace to a file that Jaeger's page takes under "Upload", instead of drawing it.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// Where the traces are.
    #[arg(long, value_name = "FILE", default_value = TRACES_FILE)]
    pub traces: PathBuf,
}

/// Which trace is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichTrace {
    /// The one whose message took longest.
    Slowest,
    /// The one whose identity begins like this.
    Id(String),
}

/// `render`.
#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    /// Write nothing, and fail if a file is not as the budget makes it.
    #[arg(long)]
    pub check: bool,
}

/// What the doctor looks at.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Check the stack of compose/compose.yaml: send a message, find its trace in Jaeger and its metrics in Prometheus.
    #[arg(long)]
    pub compose: bool,
    /// Addresses of the stack's servers.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', value_parser = resolve,
          default_value = "127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083")]
    pub server: Vec<SocketAddr>,
    #[expect(missing_docs, reason = "clap would show it")]
    #[command(flatten)]
    pub credentials: CredentialsArgs,
    /// Where the stack's Prometheus is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    pub prometheus: String,
    /// Where the stack's Jaeger is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:16686")]
    pub jaeger: String,
    /// Where the stack's Grafana is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub grafana: String,
    /// Write the findings as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
