//! A running stack, from end to end: one message, and what every part of the stack knows of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use hopline::protocol::{ClientFrame, ServerFrame};
use opentelemetry::trace::TraceId;
use reqwest::StatusCode;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::Finding;
use crate::{
    backends::{JaegerApi, PrometheusApi, Sample, Target},
    client::Client,
    credentials::{Credentials, Need},
    http,
};

const MESSAGE_LIMIT: Duration = Duration::from_secs(10);
/// Spans wait for up to five seconds in a server; metrics for one scrape.
const TELEMETRY_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const DASHBOARDS: [&str; 3] = ["hopline-message-path", "hopline-servers", "hopline-load-test"];
/// The messages that each server has handed to recipients.
const FAN_OUTS: &str = "sum by (node) (hopline_hop_duration_seconds_count{hop=\"send\",recipient=\"last\"})";
const LOGS: &str = "docker compose -f compose/compose.yaml logs SERVICE says why";

/// Where the parts of a stack are.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) credentials: Credentials,
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
    let prometheus = PrometheusApi::new(&addresses.prometheus);
    let before = fan_outs(&prometheus).await;
    let trace = TraceId::from_bytes(Uuid::new_v4().into_bytes());
    let delivered = delivered(addresses, trace).await;
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
    let scraped = scraped(&prometheus, addresses.servers.len()).await;
    findings.push(finding(
        "Prometheus scrapes every server",
        scraped,
        "its page /targets says what it can't reach",
    ));
    findings.push(finding(
        "the message is in Prometheus' metrics",
        counted(&prometheus, before, addresses.servers.len()).await,
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

async fn get(url: &str) -> reqwest::Result<reqwest::Response> {
    http::client(http::ANSWER_LIMIT).get(url).send().await
}

async fn ready(server: SocketAddr) -> anyhow::Result<String> {
    let answered = get(&format!("http://{server}/readyz")).await.context("it doesn't answer")?;
    ensure!(answered.status() == StatusCode::OK, "{}", answered.text().await.unwrap_or_default());
    Ok("ready".into())
}

/// Publishes at the first server, and waits at all of them. Returns how long that took.
async fn delivered(addresses: &Addresses, trace: TraceId) -> anyhow::Result<String> {
    let Addresses { servers, credentials, .. } = addresses;
    let channel = format!("load-doctor-{trace}");
    let reader = credentials.token("doctor", Need::Read(&channel))?;
    let writer = credentials.token("doctor", Need::Write(&channel))?;
    let mut readers = Vec::new();
    for server in servers {
        let mut client = Client::connect_as(*server, "doctor", reader.as_ref()).await?;
        client.subscribe(&channel, None, false).await?;
        until(&mut client, |frame| matches!(frame, ServerFrame::Subscribed { .. })).await?;
        readers.push(client);
    }
    let first = servers.first().context("there are no servers")?;
    let mut publisher = Client::connect_as(*first, "doctor", writer.as_ref()).await?;
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

/// A Jaeger that is busy may answer with an error first.
async fn traced(jaeger: &JaegerApi, id: TraceId, servers: usize) -> anyhow::Result<String> {
    let deadline = Instant::now() + TELEMETRY_LIMIT;
    loop {
        let found = received_at(jaeger, id).await;
        match found {
            Ok(nodes) if nodes.len() == servers => {
                return Ok(format!("received at {}: {}", listed(&nodes), jaeger.page(id)));
            }
            _ if Instant::now() < deadline => sleep(LOOK_EVERY).await,
            Ok(nodes) => bail!(
                "after {TELEMETRY_LIMIT:?} it was received at {} of {servers} servers ({})",
                nodes.len(),
                listed(&nodes)
            ),
            Err(error) => return Err(error),
        }
    }
}

async fn received_at(jaeger: &JaegerApi, id: TraceId) -> anyhow::Result<BTreeSet<String>> {
    let trace = jaeger.trace(id).await?;
    let receives = trace.iter().flat_map(|trace| trace.named("receive"));
    Ok(receives.map(|span| span.source.instance.clone()).collect())
}

fn listed(nodes: &BTreeSet<String>) -> String {
    nodes.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
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

/// By server, as far as Prometheus knows them.
async fn fan_outs(prometheus: &PrometheusApi) -> anyhow::Result<BTreeMap<String, f64>> {
    let samples = prometheus.query(FAN_OUTS).await?;
    let by_node = |sample: Sample| Some((sample.labels.get("node")?.clone(), sample.value));
    Ok(samples.into_iter().filter_map(by_node).collect())
}

/// Waits until each server's count has grown since `before`.
async fn counted(
    prometheus: &PrometheusApi,
    before: anyhow::Result<BTreeMap<String, f64>>,
    servers: usize,
) -> anyhow::Result<String> {
    let before = before?;
    let deadline = Instant::now() + TELEMETRY_LIMIT;
    loop {
        let now = fan_outs(prometheus).await;
        let grown = now.as_ref().map_or(0, |now| grown(&before, now));
        match now {
            Ok(now) if grown == servers => {
                return Ok(format!("{} fan-outs so far", now.values().sum::<f64>()));
            }
            _ if Instant::now() < deadline => sleep(LOOK_EVERY).await,
            Ok(_) => bail!("within {TELEMETRY_LIMIT:?} the count of {grown} of {servers} servers has grown"),
            Err(error) => return Err(error),
        }
    }
}

/// How many servers have counted more than before.
fn grown(before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> usize {
    let count_before = |node: &str| before.get(node).copied().unwrap_or_default();
    now.iter().filter(|(node, count)| **count >= count_before(node) + 1.0).count()
}

async fn dashboard(grafana: &str, uid: &str) -> anyhow::Result<String> {
    let answered = get(&format!("{grafana}/api/dashboards/uid/{uid}")).await;
    let answered = answered.context("Grafana doesn't answer")?.error_for_status()?;
    let dashboard: serde_json::Value = answered.json().await.context("Grafana answered something else")?;
    let panels = dashboard["dashboard"]["panels"].as_array().map_or(0, Vec::len);
    ensure!(panels > 0, "it has no panels");
    Ok(format!("{grafana}/d/{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_that_counted_one_more_have_grown() {
        let counts = |counts: &[(&str, f64)]| -> BTreeMap<String, f64> {
            counts.iter().map(|(node, count)| ((*node).to_owned(), *count)).collect()
        };
        let before = counts(&[("a", 7.0), ("b", 0.0)]);
        assert_eq!(grown(&before, &before), 0);
        assert_eq!(grown(&before, &counts(&[("a", 8.0), ("b", 0.0)])), 1);
        assert_eq!(grown(&before, &counts(&[("a", 8.0), ("b", 2.0), ("c", 1.0)])), 3);
    }
}
