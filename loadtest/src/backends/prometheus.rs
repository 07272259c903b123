//! What a Prometheus answers: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use serde::{Deserialize, de::DeserializeOwned};

use crate::http;

/// A Prometheus somewhere.
#[derive(Clone, Debug)]
pub struct PrometheusApi {
    base: String,
    http: reqwest::Client,
}

/// A value of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// A value with the trace that it was seen in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Exemplar {
    /// `trace_id`.
    pub labels: BTreeMap<String, String>,
    /// As text, which is how Prometheus answers.
    pub value: String,
}

#[derive(Deserialize)]
struct Answer<T> {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<T>,
}

#[derive(Deserialize)]
struct Vector {
    result: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

#[derive(Deserialize)]
struct SeriesExemplars {
    exemplars: Vec<Exemplar>,
}

#[derive(Deserialize)]
struct Targets {
    #[serde(rename = "activeTargets")]
    active: Vec<Target>,
}

/// Something that is scraped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Target {
    /// `job`, `node` and what else it is labelled with.
    pub labels: BTreeMap<String, String>,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// Why it is down.
    #[serde(rename = "lastError")]
    pub last_error: String,
}

impl PrometheusApi {
    /// The one whose pages are at `base`.
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), http: http::client(http::ANSWER_LIMIT) }
    }

    /// The answer to an instant query, now.
    pub async fn query(&self, query: &str) -> anyhow::Result<Vec<Sample>> {
        let vector: Vector = self.get("query", &[("query", query)]).await?;
        let sample = |element: Element| {
            let value = element.value.1.parse().context("Prometheus answered with no number")?;
            Ok(Sample { labels: element.metric, value })
        };
        vector.result.into_iter().map(sample).collect()
    }

    /// The only value of an instant query, now; none if there is no data.
    pub async fn value(&self, query: &str) -> anyhow::Result<Option<f64>> {
        let samples = self.query(query).await?;
        if samples.len() > 1 {
            bail!("`{query}` has {} values, not one", samples.len());
        }
        Ok(samples.first().map(|sample| sample.value).filter(|value| value.is_finite()))
    }

    /// The exemplars of the last hour.
    pub async fn exemplars(&self, query: &str) -> anyhow::Result<Vec<Exemplar>> {
        let now = unix_seconds();
        let (start, end) = ((now - 3600.0).to_string(), (now + 1.0).to_string());
        let window = [("query", query), ("start", &start), ("end", &end)];
        let series: Vec<SeriesExemplars> = self.get("query_exemplars", &window).await?;
        Ok(series.into_iter().flat_map(|series| series.exemplars).collect())
    }

    /// Everything that is scraped.
    pub async fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let targets: Targets = self.get("targets", &[("state", "active")]).await?;
        Ok(targets.active)
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        let url = format!("{}/api/v1/{what}", self.base);
        let answered = self.http.get(url).query(query).send().await.context("Prometheus doesn't answer")?;
        let answer: Answer<T> = answered.json().await.context("Prometheus answered something else")?;
        match answer.data {
            Some(data) if answer.status == "success" => Ok(data),
            _ => bail!("Prometheus refuses {query:?}: {}", answer.error),
        }
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
