//! What tells Prometheus of the lab's PostgreSQL and Redis.

use std::{net::SocketAddr, process::Command, time::Duration};

use super::{
    Lab,
    port::free_port,
    process::{Process, Role},
    program::find_program,
};

const START_LIMIT: Duration = Duration::from_secs(10);

/// A running exporter. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Exporter {
    /// The job that its target belongs to.
    pub(super) job: &'static str,
    pub(super) addr: SocketAddr,
    _process: Process,
}

/// Those of PostgreSQL and of Redis, as far as they are installed.
pub(super) async fn start(lab: &Lab) -> anyhow::Result<Vec<Exporter>> {
    let mut exporters = Vec::new();
    if let Ok(program) = find_program("prometheus-postgres-exporter", "") {
        let mut command = Command::new(program);
        command.env("DATA_SOURCE_NAME", format!("{}?sslmode=disable", lab.database_url()));
        exporters.push(launch(lab, "postgres", command).await?);
    }
    if let (Some(redis), Ok(program)) = (lab.private_redis(), find_program("prometheus-redis-exporter", "")) {
        let mut command = Command::new(program);
        // The URL's password would show in the command line; the environment is not for others to read.
        command.env("REDIS_ADDR", redis.url());
        exporters.push(launch(lab, "redis", command).await?);
    }
    Ok(exporters)
}

async fn launch(lab: &Lab, job: &'static str, mut command: Command) -> anyhow::Result<Exporter> {
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    command.arg(format!("--web.listen-address={addr}"));
    let process =
        Process::new(Role::Observer, &format!("{job} exporter"), &format!("{job}-exporter.log"), &lab.folder);
    process.spawn(command, None)?;
    process.ready(START_LIMIT, || std::net::TcpStream::connect(addr).ok()).await?;
    Ok(Exporter { job, addr, _process: process })
}
