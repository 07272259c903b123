//! Hopline's load generator: it starts a lab, loads it on a fixed schedule, audits every message, and
//! says which of the architecture decision's claims hold.
//!
//! [`lab`], [`client`] and [`traces`] serve the integration tests as well.

#[cfg(not(target_os = "linux"))]
compile_error!("the load generator reads /proc and takes its lab down with Linux's signals");

pub mod backends;
pub mod cli;
pub mod client;
pub mod commands;
pub mod credentials;
pub mod exit;
pub mod lab;
pub mod pacer;
pub mod require;
pub mod scenario;
pub mod traces;

mod archive;
mod audit;
mod budget;
mod capacity;
mod clock;
mod compare;
mod cost;
mod cpu;
mod doctor;
mod floor;
mod http;
mod identity;
mod latency;
mod machine;
mod metrics;
mod plan;
mod preflight;
mod procfs;
mod progress;
mod render;
mod report;
mod run;
mod scrape;
mod spans;
mod stats;
mod sweep;
mod validity;
mod verdict;
mod views;
