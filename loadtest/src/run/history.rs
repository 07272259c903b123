//! Reads back what the servers have stored.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, anyhow, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use hopline::protocol::{ChannelName, messages_path};

use super::{
    Shared,
    wire::{Page, PageMessage},
};
use crate::{audit::Stored, http, identity::id_tail};

/// Channels that are read at the same time.
const CONCURRENCY: usize = 4;
/// Messages asked for at a time; a server may give fewer.
const PAGE_MESSAGES: usize = 500;
/// A server that was loaded to its limit may take long.
const PAGE_LIMIT: Duration = Duration::from_secs(30);

/// Every channel's history, each read from another server than the last one's, or from the next server that
/// answers.
pub(super) async fn read(servers: &[SocketAddr], shared: &Shared) -> anyhow::Result<Vec<Vec<Stored>>> {
    let http = http::client(PAGE_LIMIT);
    stream::iter(shared.channels.iter().enumerate())
        .map(|(number, channel)| {
            let http = &http;
            async move {
                let first = number % servers.len();
                let mut result = Err(anyhow!("there is no server to read {channel} from"));
                for server in servers[first..].iter().chain(&servers[..first]) {
                    result = read_channel(http, *server, channel, shared).await;
                    if result.is_ok() {
                        break;
                    }
                }
                result
            }
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await
}

async fn read_channel(
    http: &reqwest::Client,
    server: SocketAddr,
    channel: &str,
    shared: &Shared,
) -> anyhow::Result<Vec<Stored>> {
    let mut history = Vec::new();
    let mut after_seq = 0;
    loop {
        let text = page(http, server, channel, after_seq).await?;
        let page = parse(&text)?;
        history.extend(page.messages.iter().map(|message| stored(message, shared)));
        match page.next_after_seq {
            Some(next) if next > after_seq => after_seq = next,
            Some(next) => bail!("the page of {channel} after {after_seq} leads to {next}"),
            None => return Ok(history),
        }
    }
}

/// The text of the messages that follow a number.
async fn page(
    http: &reqwest::Client,
    server: SocketAddr,
    channel: &str,
    after_seq: u64,
) -> anyhow::Result<String> {
    let name: ChannelName = channel.parse()?;
    let url = format!("http://{server}{}", messages_path(&name));
    let asked = http.get(url).query(&[("after_seq", after_seq), ("limit", PAGE_MESSAGES as u64)]);
    let answered = asked.send().await.and_then(reqwest::Response::error_for_status);
    Ok(answered.context("can't read a channel's history back")?.text().await?)
}

fn parse(text: &str) -> anyhow::Result<Page<'_>> {
    serde_json::from_str(text).context("a server didn't answer with a page of history")
}

/// Hands over what follows a number, up to another one, in order.
pub(super) async fn read_between(
    server: SocketAddr,
    channel: &str,
    (mut after_seq, last_seq): (u64, u64),
    mut each: impl FnMut(&PageMessage<'_>),
) -> anyhow::Result<()> {
    let http = http::client(PAGE_LIMIT);
    while after_seq < last_seq {
        let text = page(&http, server, channel, after_seq).await?;
        let page = parse(&text)?;
        page.messages.iter().filter(|message| message.seq <= last_seq).for_each(&mut each);
        after_seq = page.messages.last().context("a page of history ends too early")?.seq;
    }
    Ok(())
}

fn stored(message: &PageMessage<'_>, shared: &Shared) -> Stored {
    let index = shared.identity.index_of(message.client_message_id);
    Stored {
        seq: message.seq,
        index: index.filter(|&index| shared.identity.is_body(index, &message.body)),
        id_tail: id_tail(message.id),
    }
}
