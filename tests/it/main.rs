//! End-to-end tests: real servers, real PostgreSQL, real Redis, real sockets. Each test has a lab of its own.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails where it stands")]

mod alerts;
mod audit;
mod authentication;
mod broker_loss;
mod brokers;
mod clocks;
mod collector;
mod compare;
mod completeness;
mod configuration;
mod dashboards;
mod delivery;
mod documents;
mod encrypted_services;
mod fault;
mod history;
mod hostile_input;
mod html_report;
mod http;
mod layout;
mod least_privilege;
mod limits;
mod load;
mod outbox;
mod persist;
mod prometheus;
mod protocol;
mod rules;
mod sequence;
mod sharded;
mod shutdown;
mod slow_client;
mod subscribe;
mod support;
mod telemetry;
mod tls;
mod trace;
