//! Hopline: a multi-server WebSocket chat that persists first, broadcasts over Redis and times every hop.
//!
//! The modules follow the path of a message:
//!
//! ```text
//! client ──▶ connection ─▶ accept ─▶ persist ─▶ publish ─▶ [ broker ] ─▶ receive ─▶ send ──▶ clients
//! ```
//!
//! With Kafka, [`outbox`] takes the place of [`publish`]. [`server`] wires them; [`hop`] has the names of the stretches between them, and [`protocol`] what goes over
//! the wire. `docs/ARCHITECTURE.md` says what must always hold, and where.

pub mod accept;
pub mod admin;
pub mod auth;
pub mod broker;
pub mod clock;
pub mod config;
pub mod connection;
pub mod fault;
pub mod files;
pub mod health;
pub mod history;
pub mod hop;
pub mod http;
pub mod limit;
pub mod listener;
pub mod mint;
pub mod operate;
pub mod outbox;
pub mod persist;
pub mod protocol;
pub mod publish;
pub mod receive;
pub mod replay;
pub mod schema;
pub mod send;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod token;
