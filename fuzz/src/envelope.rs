//! What comes from the broker.

use hopline::{broker::Envelope, protocol::ServerFrame, send::message_frame, telemetry::trace::Incoming};

use crate::frames::check_name;

/// An envelope that is understood is the same once encoded and decoded again, and its message reaches clients as it is.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(envelope) = Envelope::decode(bytes) else { return };
    let encoded = envelope.encode();
    let again = Envelope::decode(&encoded).expect("what was encoded is decoded");
    assert_eq!(again, envelope);
    assert_eq!(again.encode(), encoded);
    check_name(&envelope.message.channel);
    check_name(&envelope.message.sender);
    check_name(&envelope.node);
    let _ = Incoming::read(envelope.message.traceparent.as_deref());
    let frame = message_frame(&envelope.message);
    let read = serde_json::from_str::<ServerFrame>(&frame).expect("clients understand it");
    assert_eq!(read, ServerFrame::Message(envelope.message));
}
