//! The lab's Prometheus: the configuration and the rules of `observability/prometheus/`, asked more often.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use super::{
    Lab,
    exporters::{self, Exporter},
    port::free_port,
    process::{Process, Role},
    program::find_program,
};
use crate::backends::PrometheusApi;

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
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
const SCRAPE_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A Prometheus that scrapes the lab every second. Dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    addr: SocketAddr,
    api: PrometheusApi,
    _exporters: Vec<Exporter>,
}

/// Whether the lab can have one.
pub fn is_installed() -> bool {
    find_program(PROGRAM, HOW_TO_INSTALL).is_ok()
}

impl Prometheus {
    /// Starts one that scrapes the lab's servers, the load generator where it serves metrics, and PostgreSQL and Redis
    /// where their exporters are installed.
    pub async fn start(lab: &Lab, generator: Option<SocketAddr>) -> anyhow::Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let folder = lab.folder().join(format!("prometheus-{}", addr.port()));
        let exporters = exporters::start(lab).await?;
        write_config(&folder, &targets(lab, generator, &exporters, addr))?;
        let prometheus = Self {
            process: Process::new(Role::Observer, "Prometheus", "prometheus.log", &lab.folder),
            addr,
            api: PrometheusApi::new(&format!("http://{addr}")),
            _exporters: exporters,
        };
        prometheus.process.spawn(command(&folder, addr)?, None)?;
        prometheus.process.ready(START_LIMIT, || is_ready(addr)).await?;
        Ok(prometheus)
    }

    /// Where its pages are.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it answers.
    pub fn api(&self) -> &PrometheusApi {
        &self.api
    }

    /// Waits until every target has been scraped once more.
    pub async fn scraped(&self) -> anyhow::Result<()> {
        let asked = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let oldest = "min(timestamp(up{job=~\"hopline.*\"}))";
        let scraped = async {
            while self.api.value(oldest).await?.is_none_or(|at| at <= asked) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            anyhow::Ok(())
        };
        let limited = tokio::time::timeout(SCRAPE_LIMIT, scraped).await;
        limited.map_err(|_| self.process.complaint(&format!("didn't scrape within {SCRAPE_LIMIT:?}")))?
    }
}

/// It listens before it answers.
fn is_ready(addr: SocketAddr) -> Option<()> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWER_LIMIT).ok()?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    write!(stream, "GET /-/ready HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    answer.ends_with(b" 200").then_some(())
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
fn targets(
    lab: &Lab,
    generator: Option<SocketAddr>,
    exporters: &[Exporter],
    own: SocketAddr,
) -> serde_json::Value {
    let target = |labels: serde_json::Value, addr: SocketAddr| json!({ "labels": labels, "targets": [addr] });
    let mut targets = Vec::new();
    for server in lab.servers() {
        let (node, admin) = (server.node(), server.admin_addr());
        targets.push(target(json!({ "job": "hopline", "node": node }), admin));
        let exemplars = json!({ "job": "hopline-exemplars", "node": node, "__metrics_path__": "/exemplars" });
        targets.push(target(exemplars, admin));
    }
    targets.extend(generator.map(|addr| target(json!({ "job": "hopline-loadtest" }), addr)));
    targets.extend(exporters.iter().map(|each| target(json!({ "job": each.job }), each.addr)));
    targets.push(target(json!({ "job": "prometheus" }), own));
    targets.into()
}
