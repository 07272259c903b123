//! The public HTTP interface: the WebSocket endpoint, history, and publishing by POST.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, FromRequestParts, Path, Query, Request, State, WebSocketUpgrade,
        rejection::{BytesRejection, PathRejection, QueryRejection},
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    accept::{self, channel_name},
    auth::{self, Caller},
    clock,
    connection::{self, Shared},
    protocol::{
        ErrorCode, HistoryPage, ProtocolError, PublishRequest, SUBPROTOCOL, SenderName, WEBSOCKET_PATH,
    },
    telemetry::{labels::AuthRefusal, metrics::metrics},
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
    /// A permit for each open WebSocket connection.
    slots: Arc<Semaphore>,
    connections: TaskTracker,
}

/// The routes for clients. Each WebSocket connection is a task of `connections`.
pub fn routes(shared: Arc<Shared>, connections: TaskTracker) -> Router {
    let frame_bytes_max = shared.config.limits.frame_bytes_max;
    let slots = Arc::new(Semaphore::new(shared.config.connections_max));
    let public = Public { shared, slots, connections };
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
    let Ok(slot) = public.slots.clone().try_acquire_owned() else {
        metrics().connections_refused.increment(1);
        return Err(ProtocolError::new(ErrorCode::Busy, "the server has no room for more connections").into());
    };
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
            drop(slot);
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
        let messages = history.page(&channel, query.after_seq, last_seq, limit).await?;
        Ok::<_, crate::history::HistoryError>((last_seq, messages))
    };
    let (last_seq, messages) = read.await.map_err(|error| {
        tracing::warn!(%error, "could not read history");
        ProtocolError::new(ErrorCode::Unavailable, "the database can't be reached or is too slow; try again")
    })?;
    let next_after_seq = messages.last().map(|message| message.seq).filter(|seq| *seq < last_seq);
    Ok(Json(HistoryPage { messages, last_seq, next_after_seq }))
}

async fn publish(
    State(public): State<Public>,
    Known(caller): Known,
    channel: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let accepted_us = clock::now_us();
    let Path(channel) = channel.map_err(|rejection| malformed(&rejection))?;
    let body = body.map_err(|rejection| too_large_or_malformed(&rejection))?;
    let PublishRequest { client_message_id, body, sender, traceparent } = serde_json::from_slice(&body)
        .map_err(|error| ProtocolError::new(ErrorCode::Malformed, error.to_string()))?;
    let publisher = Arc::new(caller.publisher(sender)?);
    let request = accept::Request { channel, publisher, client_message_id, body, traceparent, accepted_us };
    let ack = public.shared.accept.publish(request).await?;
    let status = if ack.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(ack)).into_response())
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
        let retry_after: Option<[(HeaderName, &str); 1]> =
            error.retryable.then_some([(header::RETRY_AFTER, "1")]);
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
        ErrorCode::TooManySubscriptions | ErrorCode::TooManyOutstanding => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Busy | ErrorCode::Unavailable | ErrorCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
    }
}
