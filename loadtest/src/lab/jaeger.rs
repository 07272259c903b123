//! The lab's Jaeger: version 2, with the configuration of `observability/jaeger/`.

use std::{fs, net::SocketAddr, process::Command, sync::Arc, time::Duration};

use nix::sys::signal::Signal;

use super::{
    folder::Folder,
    port::free_port,
    process::{Process, Role},
    program::find_program,
};

const CONFIG: &str = include_str!("../../../observability/jaeger/config.yaml");
const UI_CONFIG: &str = include_str!("../../../observability/jaeger/ui.json");
const PROGRAM: &str = "jaeger";
const HOW_TO_INSTALL: &str = "`scripts/install-jaeger FOLDER` builds it; FOLDER must be on PATH.";
const START_LIMIT: Duration = Duration::from_secs(30);

/// A Jaeger on free loopback ports, with a folder of its own: servers that export to it start after it. Dropping it
/// ends it.
#[derive(Debug)]
pub struct Jaeger {
    process: Process,
    folder: Arc<Folder>,
    query: SocketAddr,
    otlp: SocketAddr,
}

/// Whether the lab can have one.
pub fn is_installed() -> bool {
    find_program(PROGRAM, HOW_TO_INSTALL).is_ok()
}

impl Jaeger {
    /// Starts one, and waits until it answers.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = Arc::new(Folder::create(false)?);
        let loopback = || anyhow::Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)));
        let (query, otlp) = (loopback()?, loopback()?);
        let config = folder.path().join("jaeger.yaml");
        fs::write(&config, CONFIG)?;
        let ui_config = folder.path().join("ui.json");
        fs::write(&ui_config, UI_CONFIG)?;
        let mut command = Command::new(find_program(PROGRAM, HOW_TO_INSTALL)?);
        command.arg(format!("--config={}", config.display())).env("JAEGER_LISTEN_HOST", "127.0.0.1");
        command.env("JAEGER_UI_CONFIG", ui_config);
        let ports = [("JAEGER_QUERY_PORT", query.port()), ("JAEGER_OTLP_GRPC_PORT", otlp.port())];
        command.envs(ports.map(|(name, port)| (name, port.to_string())));
        for name in
            ["JAEGER_OTLP_HTTP_PORT", "JAEGER_QUERY_GRPC_PORT", "JAEGER_HEALTH_PORT", "JAEGER_METRICS_PORT"]
        {
            command.env(name, free_port()?.to_string());
        }
        let process = Process::new(Role::Observer, "Jaeger", "jaeger.log", &folder);
        process.spawn(command, None)?;
        process
            .ready(START_LIMIT, || {
                [query, otlp].iter().all(|addr| std::net::TcpStream::connect(addr).is_ok()).then_some(())
            })
            .await?;
        Ok(Self { process, folder, query, otlp })
    }

    /// Where its pages and its query API are.
    pub fn url(&self) -> String {
        format!("http://{}", self.query)
    }

    /// Stops it where it is, as if its machine hung (SIGSTOP): connections stay open, unanswered.
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to be.
    pub fn otlp_endpoint(&self) -> String {
        format!("http://{}", self.otlp)
    }
}

impl Drop for Jaeger {
    fn drop(&mut self) {
        self.process.kill();
        self.folder.remove();
    }
}
