//! Scenarios: a workload in a file, and the flags that override it.

mod args;
mod file;
mod numbers;
mod values;

pub use args::WorkloadArgs;
pub(crate) use file::Scenario;
pub(crate) use numbers::Rate;
