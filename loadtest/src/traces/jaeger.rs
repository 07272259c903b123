//! A trace as Jaeger's query API gives it, which is also what its page takes under "Upload".

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use opentelemetry::trace::SpanKind;
use serde_json::{Value as Json, json};

use super::{
    span::{Source, Span, Value},
    trace::Trace,
};

/// Writes a trace to a file.
pub(crate) fn export(trace: &Trace, path: &Path) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&document(trace))? + "\n";
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

pub(super) fn document(trace: &Trace) -> Json {
    let mut ids: BTreeMap<(&str, &str), String> = BTreeMap::new();
    let mut processes = serde_json::Map::new();
    for Source { service, instance, .. } in trace.spans().iter().map(|span| &*span.source) {
        let next = format!("p{}", ids.len() + 1);
        let id = ids.entry((service, instance)).or_insert(next);
        processes.insert(id.clone(), process(service, instance));
    }
    let spans: Vec<Json> = trace
        .spans()
        .iter()
        .map(|span| self::span(span, &ids[&(&*span.source.service, &*span.source.instance)]))
        .collect();
    json!({
        "data": [{
            "traceID": trace.id().to_string(),
            "spans": spans,
            "processes": processes,
            "warnings": null,
        }],
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": null,
    })
}

fn process(service: &str, instance: &str) -> Json {
    let tags: Vec<Json> =
        [instance].iter().filter(|it| !it.is_empty()).map(|it| text("service.instance.id", it)).collect();
    json!({ "serviceName": service, "tags": tags })
}

fn span(span: &Span, process: &str) -> Json {
    let mut tags: Vec<Json> = span.attributes.iter().map(|(key, value)| tag(key, value)).collect();
    tags.push(text("span.kind", kind(&span.kind)));
    tags.push(text("otel.scope.name", &span.source.scope));
    if let Some(error) = &span.error {
        tags.push(tag("error", &Value::Bool(true)));
        tags.push(text("otel.status_description", error));
    }
    let reference = |kind: &str, trace_id: String, span_id: String| json!({ "refType": kind, "traceID": trace_id, "spanID": span_id });
    let parent = (!span.is_root())
        .then(|| reference("CHILD_OF", span.trace_id.to_string(), span.parent_id.to_string()));
    let links = span
        .links
        .iter()
        .map(|link| reference("FOLLOWS_FROM", link.trace_id.to_string(), link.span_id.to_string()));
    json!({
        "traceID": span.trace_id.to_string(),
        "spanID": span.span_id.to_string(),
        "flags": 1,
        "operationName": &*span.name,
        "references": parent.into_iter().chain(links).collect::<Vec<_>>(),
        "startTime": span.start_ns / 1_000,
        "duration": span.duration_ns() / 1_000,
        "tags": tags,
        "logs": [],
        "processID": process,
        "warnings": null,
    })
}

fn text(key: &str, value: &str) -> Json {
    json!({ "key": key, "type": "string", "value": value })
}

fn tag(key: &str, value: &Value) -> Json {
    match value {
        Value::Text(value) => text(key, value),
        Value::Int(value) => json!({ "key": key, "type": "int64", "value": value }),
        Value::Double(value) => json!({ "key": key, "type": "float64", "value": value }),
        Value::Bool(value) => json!({ "key": key, "type": "bool", "value": value }),
    }
}

const fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    }
}
