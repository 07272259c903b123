//! `connection`: the client's side of a server. One task reads a client's frames and answers them, another
//! one ([`send::write()`]) writes its queue.

mod authenticate;
mod inbound;
mod requests;
mod subscribe;

use std::{collections::HashSet, future::pending, sync::Arc, time::Duration};

use axum::extract::ws::{Message, Utf8Bytes};
use futures_util::{Sink, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    accept::Accept,
    auth::{Auth, Identity},
    config,
    history::History,
    limit::Bucket,
    protocol::{self, ChannelName, CloseCode, ProtocolError, SenderName, ServerFrame},
    send::{self, Client, Outgoing, Registrar, Registration, Waiting},
    telemetry::metrics::metrics,
};
use authenticate::NotAdmitted;
use inbound::Inbound;

/// How long a client that leaves, or has to, may take to read what is queued for it.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the client may take to answer the close frame before the connection is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What connections share.
#[derive(Clone)]
pub struct Shared {
    /// This server's name.
    pub node: SenderName,
    /// Limits and queues.
    pub config: config::Client,
    /// Who comes in.
    pub auth: Auth,
    /// Where publishes go.
    pub accept: Accept,
    /// What waits for all clients' sockets.
    pub waiting: Waiting,
    /// Where subscriptions are registered.
    pub registrar: Registrar,
    /// Where missed messages are.
    pub history: Arc<dyn History>,
    /// Cancelled when the server begins to drain.
    pub draining: CancellationToken,
}

/// Serves a client until either side ends the connection. One that is not known yet has to say who it is first.
pub async fn serve<S>(socket: S, shared: Arc<Shared>, identity: Option<Identity>)
where
    S: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send + 'static,
{
    metrics().connections_opened.increment(1);
    metrics().connections.increment(1.0);
    let opened = Instant::now();
    let (sink, mut stream) = socket.split();
    let (client, queue) = Client::new(Uuid::now_v7(), shared.config.queue_max, shared.waiting.clone());
    let mut writer = tokio::spawn(send::write(sink, queue));
    let identity = match identity {
        Some(identity) => Ok(identity),
        None => authenticate::first_frame(&mut stream, &shared).await,
    };
    let ended = match identity {
        Ok(identity) => Connection::new(shared, client, identity).run(&mut stream, &mut writer).await,
        Err(NotAdmitted { code, ended }) => {
            if let Some(code) = code {
                client.cut_off(code);
            }
            drop(client);
            flush(&mut writer).await;
            ended
        }
    };
    // The client answers the close frame; to drop the socket before would destroy what it has not read yet.
    let gone = async {
        while let Some(Ok(_)) = stream.next().await {}
        // After a frame that can't be read nothing can be, not even the answer.
        if ended == Ended::ByViolation {
            pending::<()>().await;
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, gone).await;
    metrics().connections.decrement(1.0);
    metrics().connection_lifetime.record(opened.elapsed());
}

struct Connection {
    shared: Arc<Shared>,
    client: Client,
    identity: Arc<Identity>,
    subscriptions: HashSet<ChannelName>,
    /// Publishes that are not answered yet.
    publishes: FuturesUnordered<BoxFuture<'static, ServerFrame>>,
    bucket: Bucket,
    /// A change of the subscriptions that is under way. No frame is read meanwhile: requests keep their order.
    change: Option<BoxFuture<'static, Result<Change, ProtocolError>>>,
    last_seen: Instant,
    pinged: bool,
    ended: Ended,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The client left, or was told to.
    InOrder,
    /// The client sent what can't be answered.
    ByViolation,
}

/// A change of the subscriptions that is done.
enum Change {
    Subscribed(ChannelName),
    Unsubscribed,
}

impl Connection {
    fn new(shared: Arc<Shared>, client: Client, identity: Identity) -> Self {
        Self {
            bucket: Bucket::default(),
            shared,
            client,
            identity: Arc::new(identity),
            subscriptions: HashSet::new(),
            publishes: FuturesUnordered::new(),
            change: None,
            last_seen: Instant::now(),
            pinged: false,
            ended: Ended::InOrder,
        }
    }

    /// Returns when the writer has ended, with nothing of this client left behind.
    async fn run<S>(mut self, stream: &mut S, writer: &mut JoinHandle<()>) -> Ended
    where
        S: Stream<Item = Result<Message, axum::Error>> + Unpin,
    {
        self.answer(&self.hello());
        let draining = self.shared.draining.clone();
        loop {
            let life_check_at = self.life_check_at();
            // A client that asks faster than it reads has to wait, until there is room for the longest answer:
            // a subscription's, with what it recovers. Only messages may overflow.
            let answer_max = self.shared.config.limits.recovered_max + 1;
            let has_room = self.client.has_room_for(answer_max);
            let (client, ends) = (self.client.clone(), self.identity.ends());
            tokio::select! {
                () = client.room_for(answer_max), if !has_room => {}
                frame = stream.next(), if has_room && self.change.is_none() => match inbound::read(frame) {
                    Some(inbound) => self.on_inbound(inbound),
                    None => break,
                },
                Some(answer) = self.publishes.next(), if has_room => self.answer(&answer),
                change = finished(&mut self.change) => self.on_change(change),
                () = sleep_until(life_check_at), if self.change.is_none() => self.check_life(),
                () = until(ends) => {
                    self.leave_all().await;
                    self.finish_publishes().await;
                    self.client.push(Outgoing::Close(CloseCode::TokenExpired));
                    break;
                }
                _ = &mut *writer => {
                    self.leave_all().await;
                    return self.ended;
                }
                () = draining.cancelled() => {
                    self.finish_publishes().await;
                    self.client.push(Outgoing::Close(CloseCode::ShuttingDown));
                    break;
                }
            }
        }
        self.leave_all().await;
        // The writer stops once its queue has no sender any more, or has written the close frame.
        let ended = self.ended;
        drop(self);
        flush(writer).await;
        ended
    }

    fn on_inbound(&mut self, inbound: Inbound) {
        self.last_seen = Instant::now();
        self.pinged = false;
        match inbound {
            Inbound::Text(text) => self.on_text(&text),
            Inbound::SignOfLife => {}
            Inbound::Violation(code) => {
                self.ended = Ended::ByViolation;
                self.client.cut_off(code);
            }
        }
    }

    fn on_change(&mut self, change: Result<Change, ProtocolError>) {
        self.change = None;
        // Nothing was read meanwhile: the silence was the server's.
        self.last_seen = Instant::now();
        match change {
            Ok(Change::Subscribed(channel)) => drop(self.subscriptions.insert(channel)),
            Ok(Change::Unsubscribed) => {}
            Err(error) => self.refuse(error),
        }
    }

    /// A silent client is pinged after a third of the time that it may be silent.
    fn life_check_at(&self) -> Instant {
        let idle_timeout = self.idle_timeout();
        self.last_seen + if self.pinged { idle_timeout } else { idle_timeout / 3 }
    }

    fn check_life(&mut self) {
        if self.pinged {
            self.client.cut_off(CloseCode::IdleTimeout);
        } else {
            self.pinged = true;
            self.client.push(Outgoing::Ping);
        }
    }

    fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.shared.config.limits.idle_timeout_ms)
    }

    /// What was accepted is answered before the connection ends. `persist` bounds how long that takes.
    async fn finish_publishes(&mut self) {
        while let Some(answer) = self.publishes.next().await {
            self.answer(&answer);
        }
    }

    async fn leave_all(&mut self) {
        // A change under way may be a subscription that is registered already.
        if let Some(change) = self.change.take()
            && let Ok(Change::Subscribed(channel)) = change.await
        {
            self.subscriptions.insert(channel);
        }
        for channel in std::mem::take(&mut self.subscriptions) {
            let leave = Registration::Leave { channel, session: self.client.session, farewell: None };
            self.shared.registrar.register(leave).await;
        }
    }

    fn hello(&self) -> ServerFrame {
        ServerFrame::Hello {
            protocol: protocol::VERSION,
            node: self.shared.node.to_string(),
            session: self.client.session,
            sender: self.identity.sender.clone(),
            limits: self.shared.config.limits,
            expires_at_ms: self.identity.expires_at_ms(),
        }
    }

    fn answer(&self, frame: &ServerFrame) {
        if let ServerFrame::Error(error) = frame {
            metrics().errors.of(error.code).increment(1);
        }
        self.client.send(encode(frame));
    }

    fn refuse(&self, error: ProtocolError) {
        self.answer(&ServerFrame::Error(error));
    }
}

/// Lets the writer write what is queued; unless the client does not read.
async fn flush(writer: &mut JoinHandle<()>) {
    if timeout(FLUSH_TIMEOUT, &mut *writer).await.is_err() {
        writer.abort();
    }
}

/// Returns at this moment; never if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// The outcome of a change, once there is one.
async fn finished(
    change: &mut Option<BoxFuture<'static, Result<Change, ProtocolError>>>,
) -> Result<Change, ProtocolError> {
    match change {
        Some(change) => change.await,
        None => pending().await,
    }
}

fn encode(frame: &ServerFrame) -> Utf8Bytes {
    serde_json::to_string(frame).expect("a frame has string keys only and no value that fails").into()
}
