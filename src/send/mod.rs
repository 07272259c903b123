//! `send`: which client gets which channel, a bounded queue for each client, and the writing to its socket.

mod client;
mod fanout;
mod times;

pub use client::{Client, ClientQueue, Outgoing, write};
pub use fanout::{Delivery, Fanout, NotJoined, Registrar, Registration, message_frame};
