//! What is asked of the programs that keep telemetry.

mod jaeger;
mod prometheus;

pub use jaeger::JaegerApi;
pub use prometheus::{Exemplar, PrometheusApi, Sample, Target};
