//! What a Jaeger answers, in the form in which its own pages ask for it:
//! <https://www.jaegertracing.io/docs/2.0/apis/>.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use reqwest::StatusCode;
use serde::Deserialize;

/// A Jaeger somewhere.
#[derive(Clone, Debug)]
pub struct JaegerApi {
    base: String,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Vec<JaegerTrace>,
}

/// A trace as Jaeger has it.
#[derive(Clone, Debug, Deserialize)]
pub struct JaegerTrace {
    /// Its spans, in no order.
    pub spans: Vec<JaegerSpan>,
    processes: BTreeMap<String, Process>,
}

/// A span as Jaeger has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JaegerSpan {
    /// Its identity.
    #[serde(rename = "spanID")]
    pub span_id: String,
    /// Its name.
    pub operation_name: String,
    #[serde(default)]
    references: Vec<Reference>,
    #[serde(rename = "processID")]
    process_id: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Reference {
    #[serde(rename = "refType")]
    kind: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Process {
    #[serde(rename = "serviceName")]
    service: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Deserialize)]
struct Tag {
    key: String,
    value: serde_json::Value,
}

/// From a span to its child: who made each, and their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// `hopline a publish`.
    pub from: String,
    /// `hopline b receive`.
    pub to: String,
}

impl JaegerApi {
    /// The one whose pages are at `base`.
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), http: reqwest::Client::new() }
    }

    /// The trace with this identity, 32 hexadecimal digits; none if Jaeger has not got it.
    pub async fn trace(&self, id: &str) -> anyhow::Result<Option<JaegerTrace>> {
        let url = format!("{}/api/traces/{id}", self.base);
        let answered = self.http.get(url).send().await.context("Jaeger doesn't answer")?;
        if answered.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer: Answer =
            answered.error_for_status()?.json().await.context("Jaeger answered something else")?;
        Ok(answer.data.into_iter().next())
    }
}

impl JaegerTrace {
    /// The instances of the service `hopline` that have spans in it.
    pub fn nodes(&self) -> BTreeSet<String> {
        let servers = self.processes.values().filter(|process| process.service == "hopline");
        servers.filter_map(Process::instance).collect()
    }

    /// From each span to each of its children.
    pub fn edges(&self) -> BTreeSet<Edge> {
        let parent = |span: &JaegerSpan| {
            let reference = span.references.iter().find(|reference| reference.kind == "CHILD_OF")?;
            self.spans.iter().find(|parent| parent.span_id == reference.span_id)
        };
        let edge = |span| Some(Edge { from: self.name(parent(span)?), to: self.name(span) });
        self.spans.iter().filter_map(edge).collect()
    }

    fn name(&self, span: &JaegerSpan) -> String {
        let process = self.processes.get(&span.process_id);
        let service = process.map(|process| process.service.clone());
        let words = [service, process.and_then(Process::instance), Some(span.operation_name.clone())];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl Process {
    fn instance(&self) -> Option<String> {
        let tag = self.tags.iter().find(|tag| tag.key == "service.instance.id")?;
        tag.value.as_str().map(str::to_owned)
    }
}
