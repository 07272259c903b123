//! A running stack, from end to end: one message, and what every part of the stack knows of it.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context, bail, ensure};
use hopline::protocol::{ClientFrame, ServerFrame};
use opentelemetry::trace::TraceId;
use reqwest::StatusCode;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::Finding;
use crate::{
    backends::{JaegerApi, PrometheusApi, Target},
    client::Client,
    traces::Trace,
};

const MESSAGE_LIMIT: Duration = Duration::from_secs(10);
/// Spans wait for up to five seconds in a server; metrics for one scrape.
const TELEMETRY_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const DASHBOARDS: [&str; 3] = ["hopline-message-path", "hopline-servers", "hopline-load-test"];
const LOGS: &str = "docker compose -f compose/compose.yaml logs SERVICE says why";

/// Where the parts of a stack are.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) prometheus: String,
    pub(crate) jaeger: String,
    pub(crate) grafana: String,
}

/// Checks everything, whatever fails before.
pub(crate) async fn check_stack(addresses: &Addresses) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in &addresses.servers {
        findings.push(finding(&format!("server {server} is ready"), ready(*server).await, LOGS));
    }
    let trace = TraceId::from_bytes(Uuid::new_v4().into_bytes());
    let delivered = delivered(&addresses.servers, trace).await;
    findings.push(finding(
        "a message arrives at every server",
        delivered,
        "are PostgreSQL and Redis up, and do all servers use the same ones?",
    ));
    findings.push(finding(
        "its trace is in Jaeger, with every server",
        traced(&JaegerApi::new(&addresses.jaeger), trace, addresses.servers.len()).await,
        "is OTEL_EXPORTER_OTLP_ENDPOINT set for the servers? hopline_spans_total says what became of spans",
    ));
    let prometheus = PrometheusApi::new(&addresses.prometheus);
    let scraped = scraped(&prometheus, addresses.servers.len()).await;
    findings.push(finding(
        "Prometheus scrapes every server",
        scraped,
        "its page /targets says what it can't reach",
    ));
    findings.push(finding(
        "the message is in Prometheus' metrics",
        counted(&prometheus).await,
        "does observability/prometheus/ belong to this version?",
    ));
    for uid in DASHBOARDS {
        let loaded = dashboard(&addresses.grafana, uid).await;
        findings.push(finding(
            &format!("Grafana has the dashboard {uid}"),
            loaded,
            "its log names a file that it can't read",
        ));
    }
    findings
}

fn finding(what: &str, checked: anyhow::Result<String>, advice: &str) -> Finding {
    match checked {
        Ok(found) => Finding::good(what, found),
        // What lies between them speaks of libraries.
        Err(error) if error.chain().len() > 1 => {
            Finding::bad(what, format!("{error}: {}", error.root_cause()), advice)
        }
        Err(error) => Finding::bad(what, error.to_string(), advice),
    }
}

async fn ready(server: SocketAddr) -> anyhow::Result<String> {
    let answered = reqwest::get(format!("http://{server}/readyz")).await.context("it doesn't answer")?;
    ensure!(answered.status() == StatusCode::OK, "{}", answered.text().await.unwrap_or_default());
    Ok("ready".into())
}

/// Publishes at the first server, and waits at all of them. Returns how long that took.
async fn delivered(servers: &[SocketAddr], trace: TraceId) -> anyhow::Result<String> {
    let channel = format!("doctor-{trace}");
    let mut readers = Vec::new();
    for server in servers {
        let mut reader = Client::connect(*server, "doctor").await?;
        reader.subscribe(&channel, None, false).await?;
        until(&mut reader, |frame| matches!(frame, ServerFrame::Subscribed { .. })).await?;
        readers.push(reader);
    }
    let first = servers.first().context("there are no servers")?;
    let mut publisher = Client::connect(*first, "doctor").await?;
    let asked = Instant::now();
    let publish = ClientFrame::Publish {
        channel,
        client_message_id: Uuid::new_v4(),
        body: "How do you do?".into(),
        traceparent: Some(format!("00-{trace}-0000000000000001-01")),
    };
    publisher.send(&publish).await?;
    until(&mut publisher, |frame| matches!(frame, ServerFrame::Ack(_)))
        .await
        .context("no acknowledgement")?;
    for (reader, server) in readers.iter_mut().zip(servers) {
        let arrived = until(reader, |frame| matches!(frame, ServerFrame::Message(_))).await;
        arrived.with_context(|| format!("nothing at {server}"))?;
    }
    Ok(format!("after {:.1} ms", asked.elapsed().as_secs_f64() * 1e3))
}

async fn until(client: &mut Client, wanted: impl Fn(&ServerFrame) -> bool) -> anyhow::Result<()> {
    let found = async {
        loop {
            let frame = client.next_frame().await?;
            if let ServerFrame::Error(error) = &frame {
                bail!("refused: {}: {}", error.code.as_str(), error.message);
            }
            if wanted(&frame) {
                return Ok(());
            }
        }
    };
    timeout(MESSAGE_LIMIT, found).await.with_context(|| format!("no answer within {MESSAGE_LIMIT:?}"))?
}

async fn traced(jaeger: &JaegerApi, id: TraceId, servers: usize) -> anyhow::Result<String> {
    let deadline = Instant::now() + TELEMETRY_LIMIT;
    loop {
        let trace = jaeger.trace(id).await?;
        let nodes: BTreeSet<&str> = trace
            .iter()
            .flat_map(Trace::spans)
            .filter(|span| &*span.name == "receive")
            .map(|span| span.source.instance.as_str())
            .collect();
        let names = nodes.iter().copied().collect::<Vec<_>>().join(", ");
        if nodes.len() == servers {
            return Ok(format!("received at {names}: {}", jaeger.page(id)));
        }
        if Instant::now() > deadline {
            bail!(
                "after {TELEMETRY_LIMIT:?} it was received at {} of {servers} servers ({names})",
                nodes.len()
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn scraped(prometheus: &PrometheusApi, servers: usize) -> anyhow::Result<String> {
    let targets = prometheus.targets().await?;
    for job in ["hopline", "hopline-exemplars"] {
        let is_of = |target: &&Target| target.labels.get("job").is_some_and(|its| its == job);
        let ours: Vec<_> = targets.iter().filter(is_of).collect();
        ensure!(ours.len() == servers, "{} targets of the job {job}, not {servers}", ours.len());
        if let Some(target) = ours.iter().find(|target| target.health != "up") {
            bail!("{job} {:?} is {}: {}", target.labels.get("node"), target.health, target.last_error);
        }
    }
    Ok(format!("{} targets", targets.len()))
}

async fn counted(prometheus: &PrometheusApi) -> anyhow::Result<String> {
    let deadline = Instant::now() + TELEMETRY_LIMIT;
    let query = "sum(hopline_hop_duration_seconds_count{hop=\"send\",recipient=\"last\"})";
    loop {
        match prometheus.value(query).await? {
            Some(count) if count > 0.0 => return Ok(format!("{count} fan-outs so far")),
            _ if Instant::now() > deadline => bail!("none within {TELEMETRY_LIMIT:?}"),
            _ => sleep(LOOK_EVERY).await,
        }
    }
}

async fn dashboard(grafana: &str, uid: &str) -> anyhow::Result<String> {
    let answered = reqwest::get(format!("{grafana}/api/dashboards/uid/{uid}")).await;
    let answered = answered.context("Grafana doesn't answer")?.error_for_status()?;
    let dashboard: serde_json::Value = answered.json().await.context("Grafana answered something else")?;
    let panels = dashboard["dashboard"]["panels"].as_array().map_or(0, Vec::len);
    ensure!(panels > 0, "it has no panels");
    Ok(format!("{grafana}/d/{uid}"))
}
