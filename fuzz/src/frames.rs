//! Frames from clients, and what `accept` makes of them.

use std::sync::Arc;

use hopline::{
    accept::{Request, channel_name, check as accept},
    auth::Identity,
    protocol::{ClientFrame, ErrorCode, Limits, NAME_MAX_BYTES},
};

const BODY_BYTES_MAX: usize = 64;
const LIMITS: Limits = Limits {
    frame_bytes_max: 4096,
    body_bytes_max: BODY_BYTES_MAX,
    subscriptions_max: 10,
    outstanding_max: 10,
    publish_rate_per_s_max: 10,
    publish_burst_max: 10,
    connections_per_address_max: 10,
    connections_max: 10,
    recovered_max: 10,
    idle_timeout_ms: 60_000,
};

/// A frame that is understood is the same once written and read again, and only what PostgreSQL can store is accepted.
pub(crate) fn check(text: &str) {
    let Ok(frame) = serde_json::from_str::<ClientFrame>(text) else { return };
    let written = serde_json::to_string(&frame).expect("a frame is written");
    assert_eq!(serde_json::from_str::<ClientFrame>(&written).expect("and read"), frame);
    match frame {
        ClientFrame::Subscribe { channel, .. } | ClientFrame::Unsubscribe { channel } => check_name(&channel),
        ClientFrame::Publish { channel, client_message_id, body, traceparent } => {
            check_name(&channel);
            let publisher = Arc::new(Identity::guest());
            check_publish(&Request {
                channel,
                publisher,
                client_message_id,
                body,
                traceparent,
                accepted_us: 0,
            });
        }
        ClientFrame::Authenticate { .. } | ClientFrame::Ping {} => {}
    }
}

/// A name stands in paths, topics and logs as it is, and in a column of text.
pub(crate) fn check_name(text: &str) {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#%&\"'\\*[]".contains(&byte);
    match channel_name(text) {
        Ok(name) => {
            assert_eq!(name.to_string(), text);
            assert!((1..=NAME_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_plain));
        }
        Err(error) => assert_eq!((error.code, error.retryable), (ErrorCode::InvalidName, false)),
    }
}

fn check_publish(request: &Request) {
    let Request { channel, body, .. } = request;
    let refusal = accept(request, &LIMITS).err().map(|error| error.code);
    let expected = match body.len() {
        _ if channel_name(channel).is_err() => Some(ErrorCode::InvalidName),
        0 => Some(ErrorCode::InvalidBody),
        1..=BODY_BYTES_MAX if body.contains('\0') => Some(ErrorCode::InvalidBody),
        1..=BODY_BYTES_MAX => None,
        _ => Some(ErrorCode::BodyTooLarge),
    };
    assert_eq!(refusal, expected, "{request:?}");
}
