//! Scenarios: a workload in a file, and the flags that override it.

mod args;
mod file;
mod values;

pub use args::WorkloadArgs;
pub(crate) use values::Rate;
