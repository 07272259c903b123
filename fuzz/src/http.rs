//! Requests to the public interface, from the path to the answer, with a database of one channel.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::connect_info::MockConnectInfo,
    http::{Method, Request, StatusCode, Uri},
    response::Response,
};
use clap::Parser;
use hopline::{
    accept::Accept,
    auth::Auth,
    config::{Config, ServeArgs},
    connection::Shared,
    history::{History, HistoryError, Range},
    http,
    persist::Persist,
    protocol::{ChannelName, HistoryPage, Message, ProtocolError},
    send::{Registrar, Waiting},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use uuid::Uuid;

const LAST_SEQ: u64 = 7;
const ANSWER_BYTES_MAX: usize = 1 << 20;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
}

/// A channel with a few messages, whatever it is called.
struct Few;

fn message(channel: &ChannelName, seq: u64) -> Message {
    Message {
        channel: channel.clone(),
        seq,
        id: Uuid::from_u64_pair(0, seq),
        sender: "ann".parse().expect("a name"),
        client_message_id: Uuid::from_u64_pair(1, seq),
        body: "text".to_owned(),
        accepted_at_ms: seq,
        traceparent: None,
        timing: None,
    }
}

#[async_trait]
impl History for Few {
    async fn last_seq(&self, _: &ChannelName) -> Result<u64, HistoryError> {
        Ok(LAST_SEQ)
    }

    async fn positions(&self, channels: &[ChannelName]) -> Result<Vec<(ChannelName, u64)>, HistoryError> {
        Ok(channels.iter().map(|channel| (channel.clone(), LAST_SEQ)).collect())
    }

    async fn page(&self, range: Range<'_>, count_max: usize) -> Result<Vec<Message>, HistoryError> {
        let seqs = range.after.saturating_add(1)..=range.upto;
        Ok(seqs.take(count_max).map(|seq| message(range.channel, seq)).collect())
    }

    async fn pages(&self, _: &[Range<'_>], _: usize) -> Result<Vec<Message>, HistoryError> {
        Ok(Vec::new())
    }
}

struct Server {
    runtime: Runtime,
    routes: Router,
}

static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let routes = runtime.block_on(async { routes() });
    Mutex::new(Server { runtime, routes })
});

fn routes() -> Router {
    let flags = [
        "hopline",
        "--database-url=postgres://nowhere/none",
        "--redis-url=redis://nowhere/",
        "--publish-rate-max=1000000",
        "--publish-burst-max=1000000",
    ];
    let config = Config::new(&Cli::parse_from(flags).serve).expect("a configuration");
    // Its writers are gone at once: what is accepted is refused as `unavailable`.
    let (closing, mut gone) = (CancellationToken::new(), JoinSet::new());
    let persist = Persist::start(config.persist, &config.database.options, |_| {}, &closing, &mut gone);
    let shared = Shared {
        node: config.node,
        config: config.client,
        auth: Auth::new(config.auth),
        accept: Accept::new(persist, config.client.limits),
        waiting: Waiting::new(config.client.waiting_bytes_max),
        registrar: Registrar::new().0,
        history: Arc::new(Few),
        draining: CancellationToken::new(),
    };
    let peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
    http::routes(Arc::new(shared), Duration::from_secs(10), TaskTracker::new()).layer(MockConnectInfo(peer))
}

/// The first byte is the method, the rest of the line the path and the query, all that follows the body.
fn request(bytes: &[u8]) -> Option<Request<Body>> {
    let (method, rest) = bytes.split_first()?;
    let method = [Method::GET, Method::POST, Method::PUT][usize::from(*method) % 3].clone();
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (uri, body) = rest.split_at(end);
    let uri = Uri::try_from(uri).ok()?;
    let body = Body::from(body.get(1..).unwrap_or_default().to_vec());
    Request::builder().method(method).uri(uri).body(body).ok()
}

/// Whatever is asked for is answered: with a page within its limits, or with an error of the protocol.
pub(crate) fn check(bytes: &[u8]) {
    let Some(request) = request(bytes) else { return };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let server = SERVER.lock().expect("nothing panics that goes on");
    let (status, body) = server.runtime.block_on(async {
        let answer = server.routes.clone().oneshot(request).await;
        let answer: Response = answer.unwrap_or_else(|never| match never {});
        let status = answer.status();
        (status, to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.expect("a short answer"))
    });
    match status {
        StatusCode::OK => check_page(&body, &query),
        // Of axum, for paths and methods that there are not.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => assert!(body.is_empty()),
        _ => check_refusal(status, &body),
    }
}

fn check_page(body: &Bytes, query: &str) {
    let page: HistoryPage = serde_json::from_slice(body).expect("a page");
    let seqs: Vec<u64> = page.messages.iter().map(|message| message.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]) && page.last_seq == LAST_SEQ);
    let rest = seqs.last().filter(|last| **last < LAST_SEQ);
    assert_eq!(page.next_after_seq.as_ref(), rest, "{query}");
    let limit = query.split('&').find_map(|part| part.strip_prefix("limit=")?.parse::<usize>().ok());
    assert!(limit.is_none_or(|limit| seqs.len() <= limit.max(1)), "{query}");
}

fn check_refusal(status: StatusCode, body: &Bytes) {
    let error: ProtocolError = serde_json::from_slice(body).expect("an error of the protocol");
    assert_eq!(error.retryable, error.code.is_retryable());
    let may_be_repeated = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    assert_eq!(may_be_repeated, error.retryable, "{status}: {error:?}");
    assert!(may_be_repeated || status.is_client_error(), "{status}: {error:?}");
}
