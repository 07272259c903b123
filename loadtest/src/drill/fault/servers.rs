//! Servers: killed, restarted, crashing at the worst moment, or slower than what is asked of them.

use std::{
    os::unix::process::ExitStatusExt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use hopline::protocol::{HistoryPage, messages_path};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    drill::site::{Site, pass},
    http,
    lab::Server,
};

/// The server that crashes. The first one stays, so that something can be followed over a long time.
const VICTIM: &str = "b";
/// So long a server is up before the next one is restarted.
const BETWEEN_RESTARTS: Duration = Duration::from_secs(1);
/// So far ahead a skewed clock is, and the message's way to it.
const SKEW_MS: std::ops::Range<u64> = 40..1_000;
/// Each server then stores 50 messages a second.
const SERIAL_DELAY_MS: u64 = 20;

pub(super) async fn crash(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let servers = site.lab.servers();
    let is_victim = |server: &&Arc<Server>| server.node() == VICTIM || servers.len() == 1;
    let server = servers.iter().find(is_victim).context("the lab has no servers")?;
    let kill = async {
        server.kill();
        Ok(())
    };
    site.outage("a server killed", kill, pass(length), server.start()).await
}

pub(super) async fn crash_after_commit(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let server = site.lab.server(VICTIM);
    let switches = site.switches;
    let mut signal = None;
    let crash = async {
        switches.set(&server, &json!({ "crash_after_commit": true })).await?;
        signal = server.ended().await.context("no commit made it crash")?.signal();
        Ok(())
    };
    site.outage("a server crashed after its COMMIT", crash, pass(length), server.start()).await?;
    if signal != Some(Signal::SIGABRT as i32) {
        site.miss(format!("the server ended by {signal:?} instead of aborting after a COMMIT"));
    }
    Ok(())
}

/// One after the other, each told to drain.
pub(super) async fn restart_all(site: &mut Site<'_>) -> anyhow::Result<()> {
    let servers = site.lab.servers();
    let restart = async {
        for server in &servers {
            server.restart().await?;
            sleep(BETWEEN_RESTARTS).await;
        }
        Ok(())
    };
    site.outage("all servers restarted in turn", async { Ok(()) }, restart, async { Ok(()) }).await
}

/// Each server stores one message after the other, far fewer than come.
pub(super) async fn cut_capacity(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let switches = site.switches;
    let slow = json!({ "delays": { "persist": { "delay_ms": SERIAL_DELAY_MS, "serial": true } } });
    let (cut, restore) = (switches.set_all(&slow), switches.set_all(&Value::Null));
    site.outage("ten times what the servers can store", cut, pass(length), restore).await
}

/// The last server's clock is off from its start on; here it is only looked at.
pub(super) async fn skewed_clock(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let servers = site.lab.servers();
    let odd = servers.last().context("the lab has no servers")?;
    let (before_ms, accepted_ms) = (now_ms(), accepted_at_ms(odd).await?);
    let ahead_ms = accepted_ms.abs_diff(before_ms);
    if !SKEW_MS.contains(&ahead_ms) {
        site.miss(format!("the server's clock is {ahead_ms} ms off"));
    }
    let nothing = async || Ok(());
    site.outage("a server's clock is ahead", nothing(), pass(length), nothing()).await
}

/// When a server says that it has accepted a message.
async fn accepted_at_ms(server: &Server) -> anyhow::Result<u64> {
    let channel = "what-time-is-it".parse()?;
    let url = format!("http://{}{}", server.public_addr(), messages_path(&channel));
    let http = http::client(http::ANSWER_LIMIT);
    let message = json!({ "client_message_id": uuid::Uuid::new_v4(), "sender": "drill", "body": "?" });
    http.post(&url).json(&message).send().await?.error_for_status()?;
    let page: HistoryPage = http.get(&url).send().await?.json().await?;
    Ok(page.messages.last().context("the message isn't in its channel's history")?.accepted_at_ms)
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
