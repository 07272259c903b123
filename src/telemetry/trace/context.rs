//! W3C Trace Context: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::tracer;

/// A `traceparent` alone: frames and envelopes carry no `tracestate`.
struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

fn parse(text: &str) -> Option<SpanContext> {
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Header(text));
    let span = context.span();
    span.span_context().is_valid().then(|| span.span_context().clone())
}

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// Whether each part has its length: the propagator takes a short trace ID beside a long span ID.
fn is_version_00(text: &str) -> bool {
    let is_in_place = |(place, byte): (usize, u8)| match place {
        2 | 35 | 52 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    text.len() == LENGTH && text.starts_with("00") && text.bytes().enumerate().all(is_in_place)
}

/// What came with a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// Nothing, or something malformed, which the specification has ignored.
    Nothing,
    /// A context whose trace is not sampled.
    Unsampled,
    /// A context whose trace is sampled.
    Sampled(SpanContext),
}

impl Incoming {
    /// What came with a message to a server that makes spans; to another one nothing did.
    pub fn read_if_traced(traceparent: Option<&str>) -> Self {
        tracer().map_or(Self::Nothing, |_| Self::read(traceparent))
    }

    /// Reads a `traceparent`. Of an unsampled one nothing is looked at but the flag at its end.
    pub fn read(traceparent: Option<&str>) -> Self {
        match traceparent {
            Some(text) if text.len() == LENGTH && text.ends_with("-00") => Self::Unsampled,
            Some(text) if is_version_00(text) => match parse(text) {
                Some(context) if context.is_sampled() => Self::Sampled(context),
                Some(_) => Self::Unsampled,
                None => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }

    /// The context, if its trace is sampled.
    pub fn sampled(self) -> Option<SpanContext> {
        if let Self::Sampled(context) = self { Some(context) } else { None }
    }
}

/// A context as a `traceparent`.
pub fn traceparent(context: &SpanContext) -> String {
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
    format!("00-{trace}-{span}-{:02x}", flags.to_u8())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_a_well_formed_traceparent_is_one() {
        assert!(matches!(Incoming::read(Some(GOOD)), Incoming::Sampled(_)));
        for bad in [
            "",
            &GOOD[1..],
            &format!("{GOOD}-"),
            &GOOD.replace("00-4", "01-4"),
            &GOOD.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7+01",
            "00-0001-00000000000000000000000000000000000f067aa0b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Incoming::read(Some(bad)), Incoming::Nothing, "{bad}");
        }
    }

    #[test]
    fn a_context_survives_the_way_there_and_back() {
        let context = Incoming::read(Some(GOOD)).sampled().unwrap();
        assert_eq!(traceparent(&context), GOOD);
        for unsampled in ["-00", "-02"] {
            assert_eq!(Incoming::read(Some(&GOOD.replace("-01", unsampled))), Incoming::Unsampled);
        }
        assert_eq!(Incoming::read(None), Incoming::Nothing);
    }
}
