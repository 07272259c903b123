//! `send`: which client gets which channel, a bounded queue for each client, and the writing to its socket.

mod client;
mod delivery;
mod fanout;
mod frames;
mod times;
mod waiting;

pub use client::{Client, ClientQueue, Outgoing, write};
pub use delivery::Delivery;
pub use fanout::{Fanout, NotJoined, Registrar, Registration};
pub use frames::message_frame;
pub use waiting::{Frame, Waiting};
