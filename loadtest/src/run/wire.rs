//! The frames that arrive by the thousand, parsed without copying what is only compared.

use std::borrow::Cow;

use hopline::protocol::ErrorCode;
use serde::Deserialize;
use uuid::Uuid;

/// Any frame from a server, as far as a running load looks at it. `T` is the message's timing, or
/// `IgnoredAny` where nobody wants it.
#[derive(Debug, Deserialize)]
pub(crate) struct Incoming<'a, T> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Cow<'a, str>,
    // An `Option` of these would be copied: serde borrows a bare `Cow` only.
    #[serde(borrow, default)]
    pub(crate) channel: Cow<'a, str>,
    pub(crate) seq: Option<u64>,
    pub(crate) id: Option<Uuid>,
    pub(crate) client_message_id: Option<Uuid>,
    #[serde(borrow, default)]
    pub(crate) body: Cow<'a, str>,
    /// Empty without one.
    #[serde(borrow, default)]
    pub(crate) traceparent: Cow<'a, str>,
    pub(crate) timing: Option<T>,
    pub(crate) code: Option<ErrorCode>,
}

/// A page of history, as far as the audit looks at it.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<'a> {
    #[serde(borrow)]
    pub(crate) messages: Vec<PageMessage<'a>>,
    pub(crate) next_after_seq: Option<u64>,
}

/// One message of a page.
#[derive(Debug, Deserialize)]
pub(crate) struct PageMessage<'a> {
    pub(crate) seq: u64,
    pub(crate) id: Uuid,
    pub(crate) client_message_id: Uuid,
    #[serde(borrow)]
    pub(crate) body: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use hopline::{
        hop::Origin,
        protocol::{Message, OriginStamps, ProtocolError, ServerFrame, Timing},
    };
    use serde::de::IgnoredAny;

    use super::*;

    fn message() -> Message {
        Message {
            channel: "general".parse().unwrap(),
            seq: 7,
            id: Uuid::new_v4(),
            sender: "ann".parse().unwrap(),
            client_message_id: Uuid::new_v4(),
            body: "text".to_owned(),
            accepted_at_ms: 1,
            traceparent: Some("00-…-01".to_owned()),
            timing: Some(Timing {
                origin: Origin::Own,
                stamps: Some(OriginStamps::committed(1, 2, 3)),
                received_us: 4,
                handed_us: 5,
            }),
        }
    }

    #[test]
    fn a_message_of_the_protocol_is_read_without_copying_its_text() {
        let message = message();
        let text = serde_json::to_string(&ServerFrame::Message(message.clone())).unwrap();
        let read: Incoming<'_, Timing> = serde_json::from_str(&text).unwrap();
        assert_eq!((&*read.kind, read.seq, read.id), ("message", Some(7), Some(message.id)));
        assert_eq!(read.timing, message.timing);
        assert!(matches!(read.body, Cow::Borrowed("text")));
        assert!(matches!(read.channel, Cow::Borrowed("general")));
        assert!(matches!(read.traceparent, Cow::Borrowed("00-…-01")));
        let skipped: Incoming<'_, IgnoredAny> = serde_json::from_str(&text).unwrap();
        assert_eq!(skipped.seq, Some(7));
    }

    #[test]
    fn a_refusal_of_the_protocol_is_read() {
        let id = Uuid::new_v4();
        let refusal = ProtocolError::new(ErrorCode::Busy, "the queue is full").of_message(id);
        let text = serde_json::to_string(&ServerFrame::Error(refusal)).unwrap();
        let read: Incoming<'_, IgnoredAny> = serde_json::from_str(&text).unwrap();
        assert_eq!((read.code, read.client_message_id), (Some(ErrorCode::Busy), Some(id)));
    }
}
