//! What the server says about itself: metrics, traces and logs.

pub mod exemplars;
pub mod labels;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod trace;
