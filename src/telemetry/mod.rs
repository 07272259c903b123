//! What the server says about itself: metrics and logs.

pub mod logs;
pub mod metrics;
