//! A server that wants tokens, and a count of those that it did not let in.

use std::{collections::BTreeMap, fmt};

use hopline::{
    protocol::{ChannelName, ErrorCode, ProtocolError, Token, messages_path},
    token::Issuer,
};
use hopline_loadtest::{
    client::{Client, RawMessage},
    credentials::Credentials,
    lab::{Lab, LabOptions, Server},
};
use reqwest::{RequestBuilder, Response};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

use super::forge::{claims, hs256};
use crate::support::{Peer, metric, options, soon};

/// What counts a refusal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    /// Why someone was not let in.
    Reason(&'static str),
    /// What a request was answered by.
    Code(ErrorCode),
    /// Why a connection was closed.
    Closed(&'static str),
    /// Why a request's head was not read.
    Head(&'static str),
}

impl Counted {
    async fn read(self, server: &Server) -> f64 {
        let (name, label) = match self {
            Self::Reason(reason) => ("hopline_auth_refusals_total", format!("reason=\"{reason}\"")),
            Self::Code(code) => ("hopline_errors_total", format!("code=\"{}\"", code.as_str())),
            Self::Closed(reason) => ("hopline_connections_closed_total", format!("reason=\"{reason}\"")),
            Self::Head(reason) => ("hopline_heads_refused_total", format!("reason=\"{reason}\"")),
        };
        metric(server.admin_addr(), name, &[&label]).await
    }
}

/// The ways in for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Door {
    History,
    Post,
    Header,
    Subprotocol,
    FirstFrame,
}

impl Door {
    pub(super) const ALL: [Self; 5] =
        [Self::History, Self::Post, Self::Header, Self::Subprotocol, Self::FirstFrame];
}

/// What someone was told who was refused: a status and a body, or a close code and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told(pub(super) u16, pub(super) String);

pub(super) struct House {
    pub(super) lab: Lab,
    pub(super) issuer: Option<Issuer>,
    pub(super) http: reqwest::Client,
    /// Bad attempts so far.
    pub(super) attempts: usize,
    told: BTreeMap<Door, Told>,
}

impl House {
    /// One server with the lab's own tokens, which logs everything.
    pub(super) async fn start(args: &[&str]) -> Self {
        let house = Self::start_as(LabOptions { auth: true, ..options(1, args) }).await;
        let Credentials::Issuer(issuer) = house.lab.credentials() else { unreachable!() };
        Self { issuer: Some(issuer), ..house }
    }

    pub(super) async fn start_as(options: LabOptions) -> Self {
        let server_env = vec![("RUST_LOG".to_owned(), "trace".to_owned())];
        let lab = Lab::start(LabOptions { server_env, ..options }).await.expect("the lab starts");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { lab, issuer: None, http, attempts: 0, told: BTreeMap::new() }
    }

    /// A token that is good for an hour.
    pub(super) fn good_token(&self) -> String {
        let header = json!({ "alg": "HS256" });
        hs256(&header, &claims(self.issuer()), self.issuer().secret.as_bytes())
    }

    pub(super) fn issuer(&self) -> &Issuer {
        self.issuer.as_ref().unwrap()
    }

    pub(super) fn server(&self) -> std::sync::Arc<Server> {
        self.lab.server("a")
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server().public_addr())
    }

    pub(super) fn history(&self, channel: &str) -> RequestBuilder {
        self.http.get(self.url(&format!("/v1/channels/{channel}/messages")))
    }

    pub(super) fn post(&self, channel: &str) -> RequestBuilder {
        let body = json!({ "client_message_id": Uuid::new_v4(), "body": "body-of-a-bad-attempt" });
        self.http.post(self.url(&format!("/v1/channels/{channel}/messages"))).json(&body)
    }

    /// A WebSocket's handshake.
    pub(super) fn handshake(&self, query: &str) -> RequestBuilder {
        let request = self.http.get(self.url(&format!("/v1/ws{query}")));
        let headers = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "aGVsbG8gaGVsbG8gaGVsbA=="),
        ];
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// A connection by which no one has come in yet.
    pub(super) async fn unknown(&self) -> WebSocketStream<TcpStream> {
        let address = self.server().public_addr();
        let stream = TcpStream::connect(address).await.unwrap();
        client_async(format!("ws://{address}/v1/ws"), stream).await.unwrap().0
    }

    /// Whoever comes with this token.
    pub(super) async fn client(&self, token: &str) -> Peer {
        let client =
            Client::connect_as(self.server().public_addr(), "", Some(&Token(token.to_owned()))).await;
        Peer(client.expect("the token is good"))
    }

    /// A request that has to be refused in this way and counted once.
    pub(super) async fn refused(
        &mut self,
        what: impl fmt::Display,
        request: RequestBuilder,
        status: u16,
        counted: Counted,
    ) -> String {
        let before = counted.read(&self.server()).await;
        let answer = soon("an answer", request.send()).await.unwrap();
        let told = told(answer).await;
        assert_eq!(told.0, status, "{what}: {}", told.1);
        self.is_counted(what, counted, before).await;
        told.1
    }

    pub(super) async fn before(&self, counted: Counted) -> f64 {
        counted.read(&self.server()).await
    }

    /// One more than before.
    pub(super) async fn is_counted(&mut self, what: impl fmt::Display, counted: Counted, before: f64) {
        self.attempts += 1;
        let server = self.server();
        soon(&format!("{what}: counting as {counted:?}"), async {
            while counted.read(&server).await < before + 0.5 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let more = counted.read(&server).await - before;
        assert!(more < 1.5, "{what}: counted {more} times");
    }

    /// A token is tried at every door. All that its bearer is told is what everyone is told there.
    pub(super) async fn token_is_refused(&mut self, what: &str, token: &str, reason: &'static str) {
        for door in Door::ALL {
            let counted = Counted::Reason(reason);
            let before = self.before(counted).await;
            let told = self.knock(door, token).await;
            let always = self.told.entry(door).or_insert_with(|| told.clone());
            assert_eq!(told, *always, "{what} at {door:?}");
            assert!([401, 4010].contains(&told.0), "{what} at {door:?}: {told:?}");
            self.is_counted(format!("{what} at {door:?}"), counted, before).await;
        }
    }

    async fn knock(&self, door: Door, token: &str) -> Told {
        let request = match door {
            Door::History => self.history("general").header("authorization", format!("Bearer {token}")),
            Door::Post => self.post("general").header("authorization", format!("Bearer {token}")),
            Door::Header => self.handshake("").header("authorization", format!("Bearer {token}")),
            Door::Subprotocol => self
                .handshake("")
                .header("sec-websocket-protocol", format!("hopline.v1, hopline.token.{token}")),
            Door::FirstFrame => {
                let frame = json!({ "type": "authenticate", "token": token });
                return self.first_frame(RawMessage::text(frame.to_string())).await;
            }
        };
        told(soon("an answer", request.send()).await.unwrap()).await
    }

    /// What a connection whose first frame is this one is closed with. Nothing is said before.
    pub(super) async fn first_frame(&self, frame: RawMessage) -> Told {
        use futures_util::SinkExt;
        let mut socket = self.unknown().await;
        socket.send(frame).await.unwrap();
        closed(&mut socket).await
    }

    /// A good client is served as ever.
    pub(super) async fn serves(&self, token: &str) {
        let mut alice = self.client(token).await;
        assert_eq!(&*alice.0.hello().sender, "alice");
        let (last_seq, ..) = alice.subscribe("team-witness", None).await;
        alice.0.publish("team-witness", Uuid::new_v4(), "a-good-body").await.unwrap();
        for _ in 0..2 {
            alice.next().await;
        }
        let path = messages_path(&"team-witness".parse::<ChannelName>().unwrap());
        let page = self.http.get(self.url(&path)).bearer_auth(token).send().await.unwrap();
        assert!(page.text().await.unwrap().contains(&format!("\"seq\":{}", last_seq + 1)));
    }

    /// Nothing of these is in the server's log, which has everything that it could say.
    pub(super) fn logs_none_of<'a>(&self, secrets: impl IntoIterator<Item = &'a str>) {
        let log = self.server().log();
        assert!(log.contains(" DEBUG "), "the log is not as full as it can be");
        for secret in secrets.into_iter().filter(|secret| secret.len() > 8) {
            assert!(!log.contains(secret), "the log has {secret}");
        }
    }
}

pub(super) async fn told(answer: Response) -> Told {
    let status = answer.status().as_u16();
    if status == 401 {
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }
    Told(status, answer.text().await.unwrap())
}

/// How the server closes a connection on which it has said nothing.
pub(super) async fn closed(socket: &mut WebSocketStream<TcpStream>) -> Told {
    use futures_util::StreamExt;
    match soon("the end of the connection", socket.next()).await {
        Some(Ok(RawMessage::Close(Some(frame)))) => Told(frame.code.into(), frame.reason.to_string()),
        other => panic!("expected a close frame, got {other:?}"),
    }
}

pub(super) fn code(text: &str) -> ErrorCode {
    serde_json::from_str::<ProtocolError>(text).unwrap().code
}
