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

/// Reads with what the run's credentials allow.
pub(super) struct Reader<'a> {
    http: reqwest::Client,
    headers: HeaderMap,
    shared: &'a Shared,
}

impl<'a> Reader<'a> {
    pub(super) fn new(shared: &'a Shared) -> anyhow::Result<Self> {
        let token = shared.credentials.token("load-reader", Need::Read(&shared.identity.channels()))?;
        let mut headers = HeaderMap::new();
        if let Some(Token(token)) = token {
            headers.insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
        }
        Ok(Self { http: http::client(PAGE_LIMIT), headers, shared })
    }

    /// Every channel's history, each read from another server than the last one's, or from the next server that
    /// answers.
    pub(super) async fn all(&self, servers: &[SocketAddr]) -> anyhow::Result<Vec<Vec<Stored>>> {
        stream::iter(self.shared.channels.iter().enumerate())
            .map(|(number, channel)| async move {
                let first = number % servers.len();
                let mut result = Err(anyhow!("there is no server to read {channel} from"));
                for server in servers[first..].iter().chain(&servers[..first]) {
                    result = self.channel(*server, channel).await;
                    if result.is_ok() {
                        break;
                    }
                }
                result
            })
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }

    async fn channel(&self, server: SocketAddr, channel: &str) -> anyhow::Result<Vec<Stored>> {
        let mut history = Vec::new();
        let mut after_seq = 0;
        loop {
            let text = self.page(server, channel, after_seq).await?;
            let page = parse(&text)?;
            history.extend(page.messages.iter().map(|message| stored(message, self.shared)));
            match page.next_after_seq {
                Some(next) if next > after_seq => after_seq = next,
                Some(next) => bail!("the page of {channel} after {after_seq} leads to {next}"),
                None => return Ok(history),
            }
        }
    }

    /// Hands over what follows a number, up to another one, in order.
    pub(super) async fn between(
        &self,
        server: SocketAddr,
        channel: &str,
        (mut after_seq, last_seq): (u64, u64),
        mut each: impl FnMut(&PageMessage<'_>),
    ) -> anyhow::Result<()> {
        while after_seq < last_seq {
            let text = self.page(server, channel, after_seq).await?;
            let page = parse(&text)?;
            page.messages.iter().filter(|message| message.seq <= last_seq).for_each(&mut each);
            after_seq = page.messages.last().context("a page of history ends too early")?.seq;
        }
        Ok(())
    }

    /// The text of the messages that follow a number.
    async fn page(&self, server: SocketAddr, channel: &str, after_seq: u64) -> anyhow::Result<String> {
        let name: ChannelName = channel.parse()?;
        let url = format!("http://{server}{}", messages_path(&name));
        let asked = self.http.get(url).headers(self.headers.clone());
        let asked = asked.query(&[("after_seq", after_seq), ("limit", PAGE_MESSAGES as u64)]);
        let answered = asked.send().await.and_then(reqwest::Response::error_for_status);
        Ok(answered.context("can't read a channel's history back")?.text().await?)
    }
}

fn parse(text: &str) -> anyhow::Result<Page<'_>> {
    serde_json::from_str(text).context("a server didn't answer with a page of history")
}

fn stored(message: &PageMessage<'_>, shared: &Shared) -> Stored {
    let index = shared.identity.index_of(message.client_message_id);
    Stored {
        seq: message.seq,
        index: index.filter(|&index| shared.identity.is_body(index, &message.body)),
        id_tail: id_tail(message.id),
    }
}
