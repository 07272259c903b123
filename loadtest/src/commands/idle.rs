//! `idle`: what does an idle connection cost?

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    cli::IdleArgs,
    client::{Client, ClientError, RawMessage},
    credentials::{Credentials, Need},
    exit::Exit,
    lab::Server,
    procfs::resident_bytes,
    progress::Progress,
    report::{Conclusion, IdleReport, publish},
};

const CONNECTING_MAX: usize = 64;

pub(super) async fn execute(args: &IdleArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let lab = super::start_lab(&args.lab, None, &mut progress).await?;
    let server = lab.servers().into_iter().next().context("the lab has no server")?;
    let connections = usize::from(args.connections);
    let before_bytes = resident(&server)?;
    let clients = connect(connections, &server, &lab.credentials(), &mut progress).await?;
    let idle_timeout = clients
        .first()
        .map(|client| Duration::from_millis(client.hello().limits.idle_timeout_ms))
        .context("there is no client")?;
    let hold = args.hold.map_or(idle_timeout.mul_f64(1.2), Duration::from_secs);

    let pings = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for client in clients {
        let pings = Arc::clone(&pings);
        tasks.spawn(async move { stay(client, &pings).await });
    }
    progress.step_of("holding the connections (seconds)", hold.as_secs());
    let start = Instant::now();
    let mut after_bytes = resident(&server)?;
    while start.elapsed() < hold {
        sleep(Duration::from_millis(500).min(hold)).await;
        after_bytes = after_bytes.max(resident(&server)?);
        progress.at(start.elapsed().as_secs());
    }
    let mut invalid = Vec::new();
    while let Some(ended) = tasks.try_join_next() {
        invalid.push(format!("a connection ended: {}", ended?));
    }
    let open = connections - invalid.len();
    invalid.truncate(10);
    let pings = pings.load(Ordering::Relaxed);
    if pings == 0 {
        invalid.push("the server sent no ping; hold the connections longer (--hold)".to_owned());
    }
    drop(progress);
    let report = judge(args, open, hold, pings, before_bytes, after_bytes, invalid);
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

fn judge(
    args: &IdleArgs,
    open: usize,
    hold: Duration,
    pings: u64,
    before_bytes: u64,
    after_bytes: u64,
    invalid: Vec<String>,
) -> IdleReport {
    let connections = usize::from(args.connections);
    let bytes_per_connection = after_bytes.saturating_sub(before_bytes) / connections as u64;
    let bytes_per_connection_max = args.at_most * 1024;
    let result = if !invalid.is_empty() {
        Conclusion::Invalid
    } else if bytes_per_connection > bytes_per_connection_max {
        Conclusion::Fail
    } else {
        Conclusion::Pass
    };
    IdleReport {
        result,
        connections,
        open,
        held_s: hold.as_secs(),
        pings,
        before_bytes,
        after_bytes,
        bytes_per_connection,
        bytes_per_connection_max,
        invalid,
    }
}

async fn connect(
    connections: usize,
    server: &Server,
    credentials: &Credentials,
    progress: &mut Progress,
) -> anyhow::Result<Vec<Client>> {
    progress.step_of("connecting", connections as u64);
    let addr = server.public_addr();
    let mut connecting = stream::iter(0..connections)
        .map(|number| async move {
            let sender = format!("idle-{number}");
            let token = credentials.token(&sender, Need::Read("load-*"))?;
            anyhow::Ok(Client::connect_as(addr, &sender, token.as_ref()).await?)
        })
        .buffer_unordered(CONNECTING_MAX)
        .boxed();
    let mut clients = Vec::with_capacity(connections);
    while let Some(client) = connecting.try_next().await? {
        clients.push(client);
        progress.at(clients.len() as u64);
    }
    Ok(clients)
}

/// Answers pings, and returns what ended the connection.
async fn stay(client: Client, pings: &AtomicU64) -> ClientError {
    let (_sender, mut receiver) = client.split();
    loop {
        match receiver.next_raw().await {
            Ok(RawMessage::Ping(_)) => {
                pings.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

fn resident(server: &Server) -> anyhow::Result<u64> {
    server.pid().and_then(resident_bytes).context("the server has gone")
}
