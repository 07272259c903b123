//! A message as the frame that its recipients get.

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;

use super::{Delivery, Frame, Waiting};
use crate::protocol::{Message, Timing};

/// The frame of one message, serialised once for all who want it with timing and once for all others.
pub(super) struct Frames<'a> {
    message: Message,
    timing: Timing,
    plain: Option<Frame>,
    timed: Option<Frame>,
    waiting: &'a Waiting,
}

impl<'a> Frames<'a> {
    pub(super) fn new(delivery: Delivery, handed_us: u64, waiting: &'a Waiting) -> Self {
        let Delivery { message, origin, stamps, received_us, .. } = delivery;
        let timing = Timing { origin, stamps, received_us, handed_us };
        Self { message, timing, plain: None, timed: None, waiting }
    }

    /// The frame with or without [`Timing`].
    pub(super) fn of(&mut self, timing: bool) -> Frame {
        let frame = if timing { &mut self.timed } else { &mut self.plain };
        let message = &mut self.message;
        message.timing = timing.then_some(self.timing);
        frame.get_or_insert_with(|| self.waiting.frame(message_frame(message))).clone()
    }
}

/// A message as a frame.
pub fn message_frame(message: &Message) -> Utf8Bytes {
    /// As `ServerFrame::Message`, without owning it.
    #[derive(Serialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Frame<'a> {
        Message(&'a Message),
    }
    let frame = serde_json::to_string(&Frame::Message(message));
    frame.expect("a message has string keys only and no value that fails").into()
}
