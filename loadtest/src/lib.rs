//! Hopline's load generator: it starts a lab, loads it on a fixed schedule, audits every message, and
//! says which of the architecture decision's claims hold.

#[cfg(not(target_os = "linux"))]
compile_error!("the load generator reads /proc and takes its lab down with Linux's signals");

pub mod lab;
mod procfs;
