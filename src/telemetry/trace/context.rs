//! W3C Trace Context: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

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

pub(super) fn parse(text: &str) -> Option<SpanContext> {
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Header(text));
    let span = context.span();
    span.span_context().is_valid().then(|| span.span_context().clone())
}

/// Whether a text is a `traceparent` that can be kept with a message: well formed, and of a version known today.
pub fn is_traceparent(text: &str) -> bool {
    text.len() == 55 && text.starts_with("00-") && parse(text).is_some()
}

/// The context that a `traceparent` holds, if its trace is sampled.
pub fn sampled(traceparent: Option<&str>) -> Option<SpanContext> {
    // The flag stands at the end, and most messages are not sampled: look before parsing.
    let text = traceparent.filter(|text| !text.ends_with("-00"))?;
    parse(text).filter(SpanContext::is_sampled)
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
        assert!(is_traceparent(GOOD));
        for bad in [
            "",
            &GOOD[1..],
            &format!("{GOOD}-"),
            &GOOD.replace("00-4", "01-4"),
            &GOOD.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7+01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }

    #[test]
    fn a_context_survives_the_way_there_and_back() {
        let context = sampled(Some(GOOD)).unwrap();
        assert_eq!(traceparent(&context), GOOD);
        assert_eq!(sampled(Some(&GOOD.replace("-01", "-00"))), None);
        assert_eq!(sampled(None), None);
    }
}
