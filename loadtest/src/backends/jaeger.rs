//! What a Jaeger answers: <https://www.jaegertracing.io/docs/2.0/apis/>. Of its query APIs this is the one that keeps a
//! span's parent apart from its links.

use anyhow::Context;
use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::{
    http,
    traces::{Store, Trace},
};

/// A Jaeger somewhere.
#[derive(Clone, Debug)]
pub struct JaegerApi {
    base: String,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Answer {
    result: TracesData,
}

impl JaegerApi {
    /// The one whose pages are at `base`.
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), http: http::client(http::ANSWER_LIMIT) }
    }

    /// The page of a trace.
    pub fn page(&self, id: TraceId) -> String {
        format!("{}/trace/{id}", self.base)
    }

    /// A trace; none if Jaeger has not got it.
    pub async fn trace(&self, id: TraceId) -> anyhow::Result<Option<Trace>> {
        let url = format!("{}/api/v3/traces/{id}", self.base);
        let answered = self.http.get(url).send().await.context("Jaeger doesn't answer")?;
        if answered.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answered = answered.error_for_status()?.json::<Answer>().await;
        let Answer { result } = answered.context("Jaeger answered something else")?;
        let mut store = Store::new();
        store.add(result.resource_spans);
        Ok(store.trace(id))
    }
}
