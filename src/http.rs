//! The public HTTP interface: the WebSocket endpoint, history, and publishing by POST.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        ConnectInfo, DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State,
        WebSocketUpgrade,
        rejection::{BytesRejection, PathRejection, QueryRejection},
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::{
    accept::{self, channel_name},
    auth::{self, Caller},
    clock,
    connection::{self, Shared},
    history::{HistoryError, Range},
    limit::{Addresses, Full},
    protocol::{
        ErrorCode, HistoryPage, ProtocolError, PublishRequest, SUBPROTOCOL, SenderName, WEBSOCKET_PATH,
    },
    telemetry::{
        labels::{AuthRefusal, ConnectionLimit},
        metrics::metrics,
    },
};

/// A read of the socket: small, because every idle connection holds such a buffer.
const READ_BUFFER_BYTES: usize = 4096;
/// What is written to the socket at once.
const WRITE_BUFFER_BYTES: usize = 16 << 10;
/// What may be buffered for a socket that takes nothing; only what is being coalesced is ever there.
const WRITE_BUFFER_BYTES_MAX: usize = 4 << 20;

/// Messages of a page of history, unless asked for fewer.
const PAGE_MESSAGES_MAX: usize = 500;

/// What the handlers share.
#[derive(Clone)]
struct Public {
    shared: Arc<Shared>,
    addresses: Addresses,
    body_timeout: Duration,
    connections: TaskTracker,
}

/// The routes for clients, who have `body_timeout` to send a request's body. Each WebSocket connection is a task of
/// `connections`.
pub fn routes(shared: Arc<Shared>, body_timeout: Duration, connections: TaskTracker) -> Router {
    let frame_bytes_max = shared.config.limits.frame_bytes_max;
    let addresses = Addresses::new(&shared.config.limits);
    let public = Public { shared, addresses, body_timeout, connections };
    Router::new()
        .route(WEBSOCKET_PATH, get(open_websocket))
        .route("/v1/channels/{channel}/messages", get(page).post(publish))
        .layer(DefaultBodyLimit::max(frame_bytes_max))
        .layer(from_fn_with_state(public.clone(), from_listed_origins_only))
        .with_state(public)
}

async fn from_listed_origins_only(
    State(public): State<Public>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    public.shared.auth.check_origin(request.headers())?;
    Ok(next.run(request).await)
}

/// Who asks over HTTP. Without the token that is needed no body is read.
struct Known(Caller);

impl FromRequestParts<Public> for Known {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, public: &Public) -> Result<Self, Refusal> {
        let caller = public.shared.auth.caller(&parts.headers)?;
        Ok(Self(caller.ok_or_else(|| auth::unauthorized(AuthRefusal::NoToken))?))
    }
}

/// Other fields are refused: a token in a URL would stand in the logs of every proxy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebSocketQuery {
    sender: Option<String>,
}

async fn open_websocket(
    State(public): State<Public>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    query: Result<Query<WebSocketQuery>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|rejection| malformed(&rejection))?;
    let upgrade = upgrade.map_err(|rejection| malformed(&rejection))?;
    let sender = query.sender.as_deref().map(sender_name).transpose()?;
    let identity = match public.shared.auth.caller(&headers)? {
        Some(caller) => Some(caller.named(sender)?),
        None if sender.is_none() => None,
        None => return Err(auth::named_beside_token().into()),
    };
    if public.shared.draining.is_cancelled() {
        return Err(ProtocolError::new(ErrorCode::ShuttingDown, "connect to another server").into());
    }
    let place = public.addresses.connect(peer.ip()).map_err(no_room)?;
    let frame_bytes_max = public.shared.config.limits.frame_bytes_max;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(frame_bytes_max)
        .max_frame_size(frame_bytes_max);
    Ok(upgrade.on_upgrade(move |socket| {
        let connection = public.connections.track_future(connection::serve(socket, public.shared, identity));
        async move {
            connection.await;
            drop(place);
        }
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    #[serde(default)]
    after_seq: u64,
    limit: Option<usize>,
}

async fn page(
    State(public): State<Public>,
    Known(caller): Known,
    channel: Result<Path<String>, PathRejection>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<HistoryPage>, Refusal> {
    let Path(channel) = channel.map_err(|rejection| malformed(&rejection))?;
    let channel = channel_name(&channel)?;
    caller.named(None)?.check_read(&channel)?;
    let Query(query) = query.map_err(|rejection| malformed(&rejection))?;
    let limit = query.limit.unwrap_or(PAGE_MESSAGES_MAX).clamp(1, PAGE_MESSAGES_MAX);
    let history = &public.shared.history;
    let read = async {
        let last_seq = history.last_seq(&channel).await?;
        let range = Range { channel: &channel, after: query.after_seq, upto: last_seq };
        let messages = history.page(range, limit).await?;
        Ok::<_, HistoryError>((last_seq, messages))
    };
    let (last_seq, messages) = read.await.map_err(|error| {
        tracing::warn!(%error, "could not read history");
        ProtocolError::new(ErrorCode::Unavailable, "the database can't be reached or is too slow; try again")
    })?;
    let next_after_seq = messages.last().map(|message| message.seq).filter(|seq| *seq < last_seq);
    Ok(Json(HistoryPage { messages, last_seq, next_after_seq }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

async fn publish(
    State(public): State<Public>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Known(caller): Known,
    channel: Result<Path<String>, PathRejection>,
    query: Result<Query<NoQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    public.addresses.publish(peer.ip()).map_err(rate_limited)?;
    let Path(channel) = channel.map_err(|rejection| malformed(&rejection))?;
    query.map_err(|rejection| malformed(&rejection))?;
    // Whoever sends half of a body and nothing since would hold a connection's place.
    let body = timeout(public.body_timeout, Bytes::from_request(request, &()));
    let body = body.await.map_err(|_| ProtocolError::new(ErrorCode::Malformed, "the body took too long"))?;
    let body = body.map_err(|rejection| too_large_or_malformed(&rejection))?;
    let accepted_us = clock::now_us();
    let PublishRequest { client_message_id, body, sender, traceparent } = serde_json::from_slice(&body)
        .map_err(|error| ProtocolError::new(ErrorCode::Malformed, error.to_string()))?;
    let publisher = Arc::new(caller.publisher(sender)?);
    let request = accept::Request { channel, publisher, client_message_id, body, traceparent, accepted_us };
    let ack = public.shared.accept.publish(request).await?;
    let status = if ack.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(ack)).into_response())
}

fn no_room(full: Full) -> ProtocolError {
    let (limit, code, message) = match full {
        Full::Server => {
            (ConnectionLimit::Server, ErrorCode::Busy, "the server has no room for more connections")
        }
        Full::Address => {
            let message = "your address has as many connections as it may; close another one first";
            (ConnectionLimit::Address, ErrorCode::TooManyConnections, message)
        }
    };
    metrics().connections_refused.of(limit).increment(1);
    ProtocolError::new(code, message)
}

fn rate_limited(wait: Duration) -> ProtocolError {
    let message = "your address publishes too fast over HTTP; wait, or use a WebSocket";
    ProtocolError::new(ErrorCode::RateLimited, message).retry_after(wait)
}

fn sender_name(name: &str) -> Result<SenderName, ProtocolError> {
    name.parse().map_err(|error| ProtocolError::new(ErrorCode::InvalidName, format!("sender: {error}")))
}

fn malformed(rejection: &impl ToString) -> ProtocolError {
    ProtocolError::new(ErrorCode::Malformed, rejection.to_string())
}

fn too_large_or_malformed(rejection: &BytesRejection) -> ProtocolError {
    let too_large = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
    let code = if too_large { ErrorCode::BodyTooLarge } else { ErrorCode::Malformed };
    ProtocolError::new(code, rejection.to_string())
}

/// A [`ProtocolError`] as an HTTP response.
struct Refusal(ProtocolError);

impl From<ProtocolError> for Refusal {
    fn from(error: ProtocolError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(error) = self;
        metrics().errors.of(error.code).increment(1);
        let challenge =
            (error.code == ErrorCode::Unauthorized).then_some([(header::WWW_AUTHENTICATE, "Bearer")]);
        // Whole seconds, rounded up: before that it can't succeed.
        let retry_after = error.retry_after_ms.map(|ms| HeaderValue::from(ms.div_ceil(1000)));
        let retry_after: Option<[(HeaderName, HeaderValue); 1]> =
            retry_after.map(|seconds| [(header::RETRY_AFTER, seconds)]);
        let headers = (retry_after.map(AppendHeaders), challenge.map(AppendHeaders));
        (status(error.code), headers, Json(error)).into_response()
    }
}

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Malformed
        | ErrorCode::InvalidName
        | ErrorCode::InvalidBody
        | ErrorCode::AfterSeqAhead
        | ErrorCode::AlreadySubscribed
        | ErrorCode::NotSubscribed => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::ForbiddenOrigin => StatusCode::FORBIDDEN,
        ErrorCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::TooManySubscriptions
        | ErrorCode::TooManyOutstanding
        | ErrorCode::RateLimited
        | ErrorCode::TooManyConnections => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Busy | ErrorCode::Unavailable | ErrorCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
    }
}
