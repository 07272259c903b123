//! `lab`: something to play with.

use std::{
    fmt::Write as _,
    future::pending,
    io::{Write, stdout},
    path::Path,
    time::Duration,
};

use tokio::time::sleep;

use super::SAVED_TRACES_MAX;
use crate::{
    cli::KeptLabArgs,
    exit::Exit,
    lab::{Jaeger, Lab, Prometheus, jaeger, prometheus},
    progress::Progress,
    traces::{Receiver, SPANS_MAX, Store, save},
};

const SAVE_EVERY: Duration = Duration::from_secs(3);

pub(super) async fn execute(args: &KeptLabArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let receiver = args.traces.is_some().then(Receiver::start).transpose()?;
    let jaeger =
        if receiver.is_none() && jaeger::is_installed() { Some(Jaeger::start().await?) } else { None };
    let endpoint =
        receiver.as_ref().map(Receiver::endpoint).or_else(|| jaeger.as_ref().map(Jaeger::otlp_endpoint));
    let lab = super::start_lab(&args.lab, endpoint.clone(), &mut progress).await?;
    let prometheus =
        if prometheus::is_installed() { Some(Prometheus::start(&lab, None).await?) } else { None };
    drop(progress);
    let mut text = description(&lab, endpoint.as_deref());
    let pages = [
        ("Prometheus", prometheus.as_ref().map(Prometheus::url)),
        ("Jaeger", jaeger.as_ref().map(Jaeger::url)),
    ];
    for (name, url) in pages {
        let url = url.unwrap_or_else(|| "not installed, or not wanted; `doctor` says how to get it".into());
        writeln!(text, "{name:<16}{url}")?;
    }
    writeln!(text, "\nCtrl-C takes it all down.")?;
    stdout().write_all(text.as_bytes())?;
    // Until Ctrl-C or SIGTERM, which drops this and with it the lab.
    match (&receiver, &args.traces) {
        (Some(receiver), Some(file)) => keep(receiver, file).await,
        _ => pending().await,
    }
}

/// Writes the traces to a file whenever there are new ones, for ever.
async fn keep(receiver: &Receiver, file: &Path) -> anyhow::Result<Exit> {
    let mut saved = 0;
    loop {
        let more = |store: &Store| (store.spans().len() > saved).then_some(());
        receiver.wait_until(Duration::MAX, more).await;
        // The rest of a trace comes from other processes.
        sleep(SAVE_EVERY).await;
        let mut store = receiver.store();
        saved = store.spans().len();
        save(&store, SAVED_TRACES_MAX, file)?;
        if saved > SPANS_MAX / 2 {
            store.clear();
            saved = 0;
        }
    }
}

fn description(lab: &Lab, otlp_endpoint: Option<&str>) -> String {
    let mut lines = Vec::new();
    for server in lab.servers() {
        let (public, admin) = (server.public_addr(), server.admin_addr());
        lines.push(format!("server {}", server.node()));
        lines.push(format!("  WebSocket     ws://{public}/v1/ws?sender=NAME"));
        lines.push(format!("  HTTP          http://{public}/v1/channels/CHANNEL/messages"));
        lines.push(format!("  metrics       http://{admin}/metrics"));
    }
    lines.push(format!("DATABASE_URL    {}", lab.database_url()));
    lines.push(format!("REDIS_URL       {}", lab.redis_url()));
    if let Some(endpoint) = otlp_endpoint {
        lines.push(format!("spans (OTLP)    {endpoint}"));
    }
    lines.push(format!("folder          {} (logs)", lab.folder().display()));
    let addrs = lab.addrs();
    if let Some(first) = addrs.first() {
        let all: Vec<String> = addrs.iter().map(ToString::to_string).collect();
        lines.push(String::new());
        lines.push("Try:".to_owned());
        let spans = otlp_endpoint.map(|it| format!("OTEL_EXPORTER_OTLP_ENDPOINT={it} ")).unwrap_or_default();
        lines.push(format!("  {spans}hopline-loadtest run --target {}", all.join(",")));
        lines.push(format!(
            "  curl -X POST http://{first}/v1/channels/general/messages -H 'content-type: application/json' \\\n    \
             -d '{{\"client_message_id\":\"{}\",\"sender\":\"ann\",\"body\":\"hello\"}}'",
            uuid::Uuid::new_v4()
        ));
        lines.push(format!("  curl 'http://{first}/v1/channels/general/messages?after_seq=0'"));
    }
    if otlp_endpoint.is_some() {
        lines.push("  hopline-loadtest trace slowest".to_owned());
    }
    lines.join("\n") + "\n"
}
