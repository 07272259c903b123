//! W3C Trace Context.

use hopline::telemetry::trace::{Incoming, traceparent};

/// What the specification says of version 00: lower-case hexadecimal digits, and no identity of zeros only.
fn is_sampled(text: &str) -> Option<bool> {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { return None };
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits
            && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_identity =
        |part: &str, digits: usize| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    let is_valid = version == "00" && is_identity(trace, 32) && is_identity(span, 16) && is_hex(flags, 2);
    is_valid.then(|| u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1))
}

/// Only what the specification allows is taken for a context, and a context is written as it was read.
pub(crate) fn check(text: &str) {
    match (Incoming::read(Some(text)), is_sampled(text)) {
        (Incoming::Sampled(context), Some(true)) => {
            let written = traceparent(&context);
            assert_eq!(written[..53], text[..53]);
            assert_eq!(Incoming::read(Some(&written)), Incoming::Sampled(context));
        }
        // Of an unsampled one only the end is looked at.
        (Incoming::Unsampled, Some(false)) | (Incoming::Nothing, None) => {}
        (Incoming::Unsampled, None) if text.len() == 55 && text.ends_with("-00") => {}
        (read, _) => panic!("{text:?} is read as {read:?}"),
    }
}
