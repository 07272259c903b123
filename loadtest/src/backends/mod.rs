//! What is asked of the programs that keep telemetry.

mod jaeger;
mod prometheus;

pub use jaeger::{Edge, JaegerApi, JaegerSpan, JaegerTrace};
pub use prometheus::{Exemplar, PrometheusApi, Sample, Target};
