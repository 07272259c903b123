//! A message on its way from `receive` to the recipients, and its spans there.

use crate::{
    hop::Origin,
    protocol::{Message, OriginStamps},
    telemetry::trace::{self, Received, SpanContext},
};

/// A message in its channel's order, as it goes to the recipients.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Where it came from.
    pub origin: Origin,
    /// When it passed the hops on the publisher's server; none if it was healed.
    pub stamps: Option<OriginStamps>,
    /// When this server got it.
    pub received_us: u64,
    /// The span that the next one is a child of, if the message is sampled.
    pub trace: Option<SpanContext>,
}

impl Delivery {
    /// Records the span of `receive`, which ends at `handed_us`.
    pub(super) fn record_receive(&mut self, handed_us: u64) {
        self.trace = self.trace.take().and_then(|publish| {
            let received = Received {
                channel: &self.message.channel,
                seq: self.message.seq,
                origin: self.origin,
                ended: None,
                received_us: self.received_us,
                done_us: handed_us,
            };
            trace::receive(&publish, &received)
        });
    }

    /// Opens `send` where someone gets the message. Its context goes to them with the frame.
    pub(super) fn open_send(&mut self, handed_us: u64, recipients: usize) -> Option<trace::Open> {
        let receive = self.trace.as_ref().filter(|_| recipients > 0)?;
        let span = trace::send(receive, handed_us, recipients)?;
        self.message.traceparent = Some(trace::traceparent(&span.context()));
        Some(span)
    }
}
