//! What the server says about itself: metrics and logs.

pub mod labels;
pub mod logs;
pub mod metrics;
