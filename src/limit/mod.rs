//! How much one client may ask for, and one address.

mod addresses;
mod bucket;

pub use addresses::{Addresses, Connected, Full};
pub use bucket::{Bucket, Rate};
