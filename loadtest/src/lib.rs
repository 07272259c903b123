//! Hopline's load generator: it starts a lab, loads it on a fixed schedule, audits every message, and
//! says which of the architecture decision's claims hold.
//!
//! [`lab`], [`client`] and [`traces`] serve the integration tests as well, [`properties`] the fuzz targets.

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
pub mod properties;
pub mod require;
pub mod scenario;
pub mod traces;

mod archive;
mod audit;
mod bandwidth;
mod budget;
mod capacity;
mod clock;
mod clocks;
mod compare;
mod cost;
mod cpu;
mod doctor;
mod drill;
mod floor;
mod http;
mod identity;
mod latency;
mod machine;
mod metrics;
mod options;
mod overload;
mod plan;
mod preflight;
mod procfs;
mod progress;
mod render;
mod report;
mod run;
mod scrape;
mod slow_client;
mod soak;
mod spans;
mod stats;
mod sweep;
mod validity;
mod verdict;
mod views;
