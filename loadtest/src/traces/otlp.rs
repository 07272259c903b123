//! Between the spans that are kept and OTLP, the protocol in which they come and in which files hold them.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{self as proto, ResourceSpans, ScopeSpans, Status, span, status::StatusCode},
};

use super::span::{Link, Source, Span, Value};

const SERVICE: &str = "service.name";
const INSTANCE: &str = "service.instance.id";

/// What many spans share, kept once. Names and keys are few: they stand in the code of whoever sends.
#[derive(Debug, Default)]
pub(super) struct Shared {
    texts: HashSet<Arc<str>>,
    sources: HashSet<Arc<Source>>,
}

impl Shared {
    fn text(&mut self, text: &str) -> Arc<str> {
        share(&mut self.texts, text, || text.into())
    }

    fn source(&mut self, source: &Source) -> Arc<Source> {
        share(&mut self.sources, source, || Arc::new(source.clone()))
    }
}

fn share<T: ?Sized + Eq + Hash>(known: &mut HashSet<Arc<T>>, key: &T, make: impl Fn() -> Arc<T>) -> Arc<T> {
    if let Some(shared) = known.get(key) {
        return Arc::clone(shared);
    }
    let shared = make();
    known.insert(Arc::clone(&shared));
    shared
}

/// Reads all spans of some resources; those with malformed identities are left out.
pub(super) fn spans(resources: Vec<ResourceSpans>, shared: &mut Shared) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in resources {
        let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        for scope in resource.scope_spans {
            let source = shared.source(&Source {
                service: text_of(&attributes, SERVICE),
                instance: text_of(&attributes, INSTANCE),
                scope: scope.scope.map(|scope| scope.name).unwrap_or_default(),
            });
            spans.extend(scope.spans.into_iter().filter_map(|span| read(span, &source, shared)));
        }
    }
    spans
}

fn text_of(attributes: &[KeyValue], key: &str) -> String {
    let attribute = attributes.iter().find(|attribute| attribute.key == key);
    attribute.map(|attribute| value(attribute.value.clone()).to_string()).unwrap_or_default()
}

fn read(span: proto::Span, source: &Arc<Source>, shared: &mut Shared) -> Option<Span> {
    let kind = span.kind();
    let parent_id = match &span.parent_span_id[..] {
        [] => SpanId::INVALID,
        bytes => span_id(bytes)?,
    };
    Some(Span {
        trace_id: trace_id(&span.trace_id)?,
        span_id: span_id(&span.span_id)?,
        parent_id,
        source: Arc::clone(source),
        name: shared.text(&span.name),
        kind: match kind {
            span::SpanKind::Unspecified | span::SpanKind::Internal => SpanKind::Internal,
            span::SpanKind::Server => SpanKind::Server,
            span::SpanKind::Client => SpanKind::Client,
            span::SpanKind::Producer => SpanKind::Producer,
            span::SpanKind::Consumer => SpanKind::Consumer,
        },
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        attributes: span.attributes.into_iter().map(|it| (shared.text(&it.key), value(it.value))).collect(),
        links: span.links.iter().filter_map(link).collect(),
        error: span
            .status
            .filter(|status| status.code() == StatusCode::Error)
            .map(|status| status.message.into_boxed_str()),
    })
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    Some(TraceId::from_bytes(bytes.try_into().ok()?)).filter(|id| *id != TraceId::INVALID)
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    Some(SpanId::from_bytes(bytes.try_into().ok()?)).filter(|id| *id != SpanId::INVALID)
}

fn link(link: &span::Link) -> Option<Link> {
    Some(Link { trace_id: trace_id(&link.trace_id)?, span_id: span_id(&link.span_id)? })
}

fn value(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => Value::Text(text.into()),
        Some(any_value::Value::IntValue(number)) => Value::Int(number),
        Some(any_value::Value::DoubleValue(number)) => Value::Double(number),
        Some(any_value::Value::BoolValue(yes)) => Value::Bool(yes),
        Some(other) => Value::Text(format!("{other:?}").into()),
        None => Value::Text("".into()),
    }
}

/// The spans of one source, as OTLP has them.
pub(super) fn resource_spans(source: &Source, spans: &[&Span]) -> ResourceSpans {
    let attributes = [(SERVICE, &source.service), (INSTANCE, &source.instance)]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| key_value(key, &Value::Text(text.as_str().into())));
    ResourceSpans {
        resource: Some(Resource { attributes: attributes.collect(), ..Resource::default() }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: source.scope.clone(),
                ..InstrumentationScope::default()
            }),
            spans: spans.iter().map(|span| write(span)).collect(),
            schema_url: String::new(),
        }],
        schema_url: String::new(),
    }
}

fn write(span: &Span) -> proto::Span {
    let parent = if span.is_root() { Vec::new() } else { span.parent_id.to_bytes().to_vec() };
    proto::Span {
        trace_id: span.trace_id.to_bytes().to_vec(),
        span_id: span.span_id.to_bytes().to_vec(),
        parent_span_id: parent,
        name: span.name.to_string(),
        kind: span::SpanKind::from(span.kind.clone()).into(),
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns,
        attributes: span.attributes.iter().map(|(key, value)| key_value(key, value)).collect(),
        links: span
            .links
            .iter()
            .map(|link| span::Link {
                trace_id: link.trace_id.to_bytes().to_vec(),
                span_id: link.span_id.to_bytes().to_vec(),
                ..span::Link::default()
            })
            .collect(),
        status: span
            .error
            .as_ref()
            .map(|message| Status { code: StatusCode::Error.into(), message: message.to_string() }),
        ..proto::Span::default()
    }
}

fn key_value(key: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.to_string()),
        Value::Int(number) => any_value::Value::IntValue(*number),
        Value::Double(number) => any_value::Value::DoubleValue(*number),
        Value::Bool(yes) => any_value::Value::BoolValue(*yes),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
