//! The lab's Prometheus: the configuration and the rules of `observability/prometheus/`, asked more often.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    Lab, find_program,
    port::free_port,
    process::{Process, Role},
};

const CONFIG: &str = include_str!("../../../observability/prometheus/prometheus.yml");
const RULES: [(&str, &str); 3] = [
    (
        "claims-production.yaml",
        include_str!("../../../observability/prometheus/rules/claims-production.yaml"),
    ),
    ("claims-classroom.yaml", include_str!("../../../observability/prometheus/rules/claims-classroom.yaml")),
    ("operations.yaml", include_str!("../../../observability/prometheus/rules/operations.yaml")),
];
const PROGRAM: &str = "prometheus";
const HOW_TO_INSTALL: &str = "Install it (Debian, Ubuntu: `apt-get install prometheus`).";
const START_LIMIT: Duration = Duration::from_secs(30);
const SCRAPE_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A Prometheus that scrapes the lab every second. Dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    addr: SocketAddr,
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

/// Whether the lab can have one.
pub fn is_installed() -> bool {
    find_program(PROGRAM, HOW_TO_INSTALL).is_ok()
}

impl Prometheus {
    /// Starts one that scrapes the lab's servers, and the load generator where it serves metrics.
    pub async fn start(lab: &Lab, generator: Option<SocketAddr>) -> anyhow::Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let folder = lab.folder().join(format!("prometheus-{}", addr.port()));
        write_config(&folder, &targets(lab, generator, addr))?;
        let prometheus = Self {
            process: Process::new(Role::Observer, "Prometheus", "prometheus.log", &lab.folder),
            addr,
            http: reqwest::Client::new(),
        };
        prometheus.process.spawn(command(&folder, addr)?, None)?;
        // It loads its files before it listens.
        prometheus.process.ready(START_LIMIT, || std::net::TcpStream::connect(addr).ok()).await?;
        Ok(prometheus)
    }

    /// Where its pages are.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
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

    /// Waits until every target has been scraped once more.
    pub async fn scraped(&self) -> anyhow::Result<()> {
        let asked = unix_seconds();
        let oldest = "min(timestamp(up{job=~\"hopline.*\"}))";
        let scraped = async {
            while self.value(oldest).await?.is_none_or(|at| at <= asked) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            anyhow::Ok(())
        };
        let limited = tokio::time::timeout(SCRAPE_LIMIT, scraped).await;
        limited.map_err(|_| self.process.complaint(&format!("didn't scrape within {SCRAPE_LIMIT:?}")))?
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        let url = format!("{}/api/v1/{what}", self.url());
        let answered = self.http.get(url).query(query).send().await.context("Prometheus doesn't answer")?;
        let answer: Answer<T> = answered.json().await.context("Prometheus answered something else")?;
        match answer.data {
            Some(data) if answer.status == "success" => Ok(data),
            _ => bail!("Prometheus refuses {query:?}: {}", answer.error),
        }
    }
}

fn command(folder: &Path, addr: SocketAddr) -> anyhow::Result<Command> {
    let mut command = Command::new(find_program(PROGRAM, HOW_TO_INSTALL)?);
    command
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={addr}"))
        .args(["--enable-feature=exemplar-storage", "--log.level=warn"]);
    Ok(command)
}

fn write_config(folder: &Path, targets: &serde_json::Value) -> anyhow::Result<()> {
    let file = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)
    };
    file(folder.join("prometheus.yml"), &CONFIG.replace("_interval: 5s", "_interval: 1s"))?;
    for (name, text) in RULES {
        file(folder.join("rules").join(name), text)?;
    }
    // JSON is YAML.
    file(folder.join("targets/lab.yaml"), &targets.to_string())?;
    Ok(())
}

/// As `observability/prometheus/targets/compose.yaml` has them.
fn targets(lab: &Lab, generator: Option<SocketAddr>, own: SocketAddr) -> serde_json::Value {
    let target = |labels: serde_json::Value, addr: SocketAddr| json!({ "labels": labels, "targets": [addr] });
    let mut targets = Vec::new();
    for server in lab.servers() {
        let (node, admin) = (server.node(), server.admin_addr());
        targets.push(target(json!({ "job": "hopline", "node": node }), admin));
        let exemplars = json!({ "job": "hopline-exemplars", "node": node, "__metrics_path__": "/exemplars" });
        targets.push(target(exemplars, admin));
    }
    targets.extend(generator.map(|addr| target(json!({ "job": "hopline-loadtest" }), addr)));
    targets.push(target(json!({ "job": "prometheus" }), own));
    targets.into()
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
