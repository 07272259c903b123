//! `lab`: something to play with.

use std::{
    future::pending,
    io::{Write, stdout},
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use tokio::time::sleep;

use super::SAVED_TRACES_MAX;
use crate::{
    cli::KeptLabArgs,
    exit::Exit,
    lab::{Jaeger, Lab, Prometheus, free_port, jaeger, prometheus},
    progress::Progress,
    traces::{Receiver, SPANS_MAX, Store, save},
};

const SAVE_EVERY: Duration = Duration::from_secs(3);

/// Who looks at the lab's servers.
struct Observers {
    receiver: Option<Receiver>,
    jaeger: Option<Jaeger>,
    prometheus: Option<Prometheus>,
    /// Where Prometheus expects a load generator's metrics.
    generator: SocketAddr,
}

pub(super) async fn execute(args: &KeptLabArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let receiver = args.traces.is_some().then(Receiver::start).transpose()?;
    let wants_jaeger = receiver.is_none() && jaeger::is_installed();
    let mut observers = Observers {
        receiver,
        jaeger: if wants_jaeger { Some(Jaeger::start().await?) } else { None },
        prometheus: None,
        generator: SocketAddr::from(([127, 0, 0, 1], free_port()?)),
    };
    let lab = super::start_lab(&args.lab, observers.otlp_endpoint(), &mut progress).await?;
    if prometheus::is_installed() {
        observers.prometheus = Some(Prometheus::start(&lab, Some(observers.generator)).await?);
    }
    drop(progress);
    stdout().write_all(description(&lab, &observers, args).as_bytes())?;
    // Until Ctrl-C or SIGTERM, which drops this and with it the lab.
    match (&observers.receiver, &args.traces) {
        (Some(receiver), Some(file)) => keep(receiver, file).await,
        _ => pending().await,
    }
}

impl Observers {
    fn otlp_endpoint(&self) -> Option<String> {
        let receiver = self.receiver.as_ref().map(Receiver::endpoint);
        receiver.or_else(|| self.jaeger.as_ref().map(Jaeger::otlp_endpoint))
    }

    fn lines(&self, args: &KeptLabArgs) -> Vec<String> {
        const MISSING: &str = "not installed; `cargo loadtest doctor` says how to get it";
        let prometheus = self.prometheus.as_ref().map_or_else(|| MISSING.to_owned(), Prometheus::url);
        let traces = match (&args.traces, &self.jaeger) {
            (Some(file), _) => format!("{} (`cargo loadtest trace slowest`)", file.display()),
            (None, Some(jaeger)) => format!("{} (Jaeger)", jaeger.url()),
            (None, None) => "none: --traces keeps them, or install Jaeger".to_owned(),
        };
        vec![format!("Prometheus      {prometheus}"), format!("traces          {traces}")]
    }

    /// What a load generator has to be told, so that it is seen as well.
    fn flags(&self) -> String {
        let endpoint = self.otlp_endpoint().map(|endpoint| format!(" --otlp-endpoint {endpoint}"));
        let metrics = self.prometheus.as_ref().map(|_| format!(" --metrics-listen {}", self.generator));
        [endpoint, metrics].into_iter().flatten().collect()
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

fn description(lab: &Lab, observers: &Observers, args: &KeptLabArgs) -> String {
    let mut lines = Vec::new();
    for server in lab.servers() {
        let (public, admin) = (server.public_addr(), server.admin_addr());
        lines.push(format!("server {}", server.node()));
        let query = if lab.token_args().is_none() { "?sender=NAME" } else { "" };
        lines.push(format!("  WebSocket     ws://{public}/v1/ws{query}"));
        lines.push(format!("  HTTP          http://{public}/v1/channels/CHANNEL/messages"));
        lines.push(format!("  metrics       http://{admin}/metrics"));
    }
    lines.push(format!("DATABASE_URL    {}", lab.database_url()));
    lines.extend(lab.broker_env().map(|(name, value)| format!("{name:<15} {value}")));
    lines.extend(observers.lines(args));
    lines.push(format!("folder          {} (logs)", lab.folder().display()));
    lines.push("\nTry:".to_owned());
    match lab.token_args() {
        None => lines.extend(suggestions(lab, observers)),
        Some(args) => lines.extend(suggestions_with_tokens(lab, &args, observers)),
    }
    lines.push("\nCtrl-C takes it all down.\n".to_owned());
    lines.join("\n")
}

fn suggestions(lab: &Lab, observers: &Observers) -> Vec<String> {
    let addrs = lab.addrs();
    let Some(first) = addrs.first() else {
        return Vec::new();
    };
    let all = list(&addrs);
    vec![
        format!("  cargo loadtest run --target {all}{}", observers.flags()),
        format!(
            "  curl -X POST http://{first}/v1/channels/general/messages -H 'content-type: application/json' \\\n    \
             -d '{{\"client_message_id\":\"{}\",\"sender\":\"ann\",\"body\":\"hello\"}}'",
            uuid::Uuid::new_v4()
        ),
        format!("  curl 'http://{first}/v1/channels/general/messages?after_seq=0'"),
    ]
}

fn suggestions_with_tokens(lab: &Lab, args: &str, observers: &Observers) -> Vec<String> {
    let addrs = lab.addrs();
    let Some(first) = addrs.first() else {
        return Vec::new();
    };
    let token_args = args.replace("--jwt-", "--");
    vec![
        format!("  cargo loadtest run --target {} {args}{}", list(&addrs), observers.flags()),
        format!("  TOKEN=$(hopline token {token_args} --sub ann --read '*' --write '*')"),
        format!("  curl -H \"Authorization: Bearer $TOKEN\" 'http://{first}/v1/channels/general/messages'"),
    ]
}

fn list(addrs: &[SocketAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
