//! Reads back what the servers have stored.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, anyhow, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use hopline::protocol::{ChannelName, Token, messages_path};
use reqwest::header::{AUTHORIZATION, HeaderMap};

use super::{
    Shared,
    wire::{Page, PageMessage},
};
use crate::{audit::Stored, credentials::Need, http, identity::id_tail};

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
    let token = shared.credentials.token("load-reader", Need::Read(&shared.identity.channels()))?;
    let headers = authorization(token.as_ref())?;
    stream::iter(shared.channels.iter().enumerate())
        .map(|(number, channel)| {
            let (http, headers) = (&http, &headers);
            async move {
                let first = number % servers.len();
                let mut result = Err(anyhow!("there is no server to read {channel} from"));
                for server in servers[first..].iter().chain(&servers[..first]) {
                    result = read_channel(http, *server, headers, channel, shared).await;
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
    headers: &HeaderMap,
    channel: &str,
    shared: &Shared,
) -> anyhow::Result<Vec<Stored>> {
    let name: ChannelName = channel.parse()?;
    let url = format!("http://{server}{}", messages_path(&name));
    let mut history = Vec::new();
    let mut after_seq = 0;
    loop {
        let text = http
            .get(&url)
            .headers(headers.clone())
            .query(&[("after_seq", after_seq), ("limit", PAGE_MESSAGES as u64)])
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .context("can't read a channel's history back")?
            .text()
            .await?;
        let page: Page<'_> = serde_json::from_str(&text)
            .with_context(|| format!("{url} didn't answer with a page of history"))?;
        history.extend(page.messages.iter().map(|message| stored(message, shared)));
        match page.next_after_seq {
            Some(next) if next > after_seq => after_seq = next,
            Some(next) => bail!("{url}: the page after {after_seq} leads to {next}"),
            None => return Ok(history),
        }
    }
}

fn authorization(token: Option<&Token>) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(Token(token)) = token {
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
    }
    Ok(headers)
}

fn stored(message: &PageMessage<'_>, shared: &Shared) -> Stored {
    let index = shared.identity.index_of(message.client_message_id);
    Stored {
        seq: message.seq,
        index: index.filter(|&index| shared.identity.is_body(index, &message.body)),
        id_tail: id_tail(message.id),
    }
}
