//! What the tests share: a lab of this build's servers, clients that fail loudly, and a look at the database.

pub(crate) mod browser;
pub(crate) mod certificates;
pub(crate) mod compose;
pub(crate) mod dashboard;
pub(crate) mod document;
pub(crate) mod load;
pub(crate) mod page;
mod wire;

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, process::Command, time::Duration};

use hopline::protocol::{Ack, ChannelName, ClientFrame, ErrorCode, Message, ProtocolError, ServerFrame};
use hopline_loadtest::{
    client::{Client, Closed},
    lab::{Backend, Broker, Lab, LabOptions, Server},
    traces::Receiver,
};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use sqlx::{Connection, PgConnection};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use uuid::Uuid;

pub(crate) use wire::{Tampering, Wire};

/// The longest that anything awaited may take. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A lab with `servers` servers, each with the flags `args`.
pub(crate) async fn lab_with(servers: usize, args: &[&str]) -> Lab {
    let lab = Lab::start(options(servers, args)).await.expect("the lab starts");
    // Servers serve before they are connected, and Kafka takes longer for that than tests take.
    if lab.broker() == Broker::Kafka {
        hear(&lab).await;
    }
    lab
}

/// Waits until all servers hear their broker.
pub(crate) async fn hear(lab: &Lab) {
    for server in lab.servers() {
        metric_reaches(server.admin_addr(), "hopline_broker_connected", &[], 1.0).await;
    }
}

pub(crate) fn options(servers: usize, args: &[&str]) -> LabOptions {
    LabOptions {
        servers,
        server_binary: Some(PathBuf::from(env!("CARGO_BIN_EXE_hopline"))),
        server_args: args.iter().map(ToString::to_string).collect(),
        broker: Broker::from_env().expect("the tests run over one of the brokers"),
        ..LabOptions::default()
    }
}

/// A lab with three servers.
pub(crate) async fn lab() -> Lab {
    lab_with(3, &[]).await
}

/// A lab whose servers send their spans to `receiver`, at once.
pub(crate) async fn lab_traced(servers: usize, args: &[&str], receiver: &Receiver) -> Lab {
    let env =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()), ("OTEL_BSP_SCHEDULE_DELAY", "50".into())];
    let options = LabOptions {
        server_env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..options(servers, args)
    };
    Lab::start(options).await.expect("the lab starts")
}

/// `hopline fault …` for a server of the lab.
pub(crate) fn fault(server: &Server, args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
    command.args(["fault", "--admin", &server.admin_addr().to_string()]).args(args);
    let output = command.output().expect("hopline runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A lab whose servers meet over this broker, whichever the other tests run over.
pub(crate) async fn lab_over(broker: Broker, servers: usize) -> Lab {
    Lab::start(LabOptions { broker, ..options(servers, &[]) }).await.expect("the lab starts")
}

/// Where a channel's messages are published.
pub(crate) fn topic(lab: &Lab, channel: &str) -> String {
    match lab.broker() {
        Broker::RedisChannels => format!("{}:{channel}", lab.redis_topic()),
        Broker::RedisSharded => format!("{}:{{{}}}", lab.redis_topic(), partition(channel)),
        _ => lab.redis_topic().to_owned(),
    }
}

/// The partition of a channel, of as many as there usually are.
pub(crate) fn partition(channel: &str) -> u16 {
    channel.parse::<ChannelName>().unwrap().partition(128)
}

/// Publishes to a channel's topic behind the servers' back.
pub(crate) async fn publish(lab: &Lab, channel: &str, payload: &[u8]) {
    let topic = topic(lab, channel);
    if let Backend::Kafka(kafka) = lab.backend() {
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", kafka.address()).create().unwrap();
        let record = FutureRecord::to(&topic).key(channel).payload(payload);
        producer.send(record, PATIENCE).await.unwrap();
        return;
    }
    let (url, verb) = match lab.broker() {
        Broker::RedisSharded => (lab.cluster().master_of(&topic).await.unwrap().url(), "SPUBLISH"),
        _ => (lab.redis_url(), "PUBLISH"),
    };
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let (): () = redis::cmd(verb).arg(topic).arg(payload).query_async(&mut connection).await.unwrap();
}

/// Fails the test if `future` takes too long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not happen within {PATIENCE:?}"))
}

/// A connection to the lab's database.
pub(crate) async fn database(lab: &Lab) -> PgConnection {
    PgConnection::connect(lab.database_url()).await.expect("the lab's database answers")
}

/// A client, and the expectations that tests have of it.
pub(crate) struct Peer(pub(crate) Client);

impl Peer {
    pub(crate) async fn connect(address: SocketAddr, sender: &str) -> Self {
        Self(Client::connect(address, sender).await.expect("the server takes a client"))
    }

    pub(crate) async fn next(&mut self) -> ServerFrame {
        soon("a frame", self.0.next_frame()).await.expect("the connection stands")
    }

    /// Subscribes; returns `last_seq`, `recovered` and `history`.
    pub(crate) async fn subscribe(
        &mut self,
        channel: &str,
        after_seq: Option<u64>,
    ) -> (u64, bool, Option<String>) {
        self.0.subscribe(channel, after_seq, true).await.unwrap();
        match self.next().await {
            ServerFrame::Subscribed { last_seq, recovered, history, .. } => (last_seq, recovered, history),
            other => panic!("expected subscribed, got {other:?}"),
        }
    }

    /// Ends a subscription; what came before the answer is lost.
    pub(crate) async fn unsubscribe(&mut self, channel: &str) {
        self.0.send(&ClientFrame::Unsubscribe { channel: channel.to_owned() }).await.unwrap();
        while !matches!(self.next().await, ServerFrame::Unsubscribed { .. }) {}
    }

    /// Publishes a new message and waits for its acknowledgement.
    pub(crate) async fn publish(&mut self, channel: &str, body: &str) -> Ack {
        self.publish_as(channel, Uuid::new_v4(), body).await
    }

    pub(crate) async fn publish_as(&mut self, channel: &str, id: Uuid, body: &str) -> Ack {
        self.0.publish(channel, id, body).await.unwrap();
        match self.next().await {
            ServerFrame::Ack(ack) => ack,
            other => panic!("expected ack, got {other:?}"),
        }
    }

    pub(crate) async fn refusal(&mut self) -> ProtocolError {
        match self.next().await {
            ServerFrame::Error(error) => error,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    pub(crate) async fn refused(&mut self, code: ErrorCode) {
        assert_eq!(self.refusal().await.code, code);
    }

    pub(crate) async fn message(&mut self) -> Message {
        match self.next().await {
            ServerFrame::Message(message) => message,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// Exactly these numbers, in this order, and nothing else before them.
    pub(crate) async fn receives(&mut self, seqs: RangeInclusive<u64>) -> Vec<Message> {
        let mut messages = Vec::new();
        for seq in seqs {
            let message = self.message().await;
            assert_eq!(message.seq, seq);
            messages.push(message);
        }
        messages
    }

    /// Nothing is waiting: the answer to a ping is the next frame.
    pub(crate) async fn receives_nothing_more(&mut self) {
        self.0.send(&ClientFrame::Ping {}).await.unwrap();
        assert_eq!(self.next().await, ServerFrame::Pong);
    }

    pub(crate) async fn closed(&mut self) -> Closed {
        soon("the end of the connection", self.0.closed()).await
    }
}

/// Asks for `path` again and again and reads nothing, until the server has had enough.
pub(crate) async fn ask_and_never_read(mut stream: impl AsyncWrite + Unpin, path: &str) {
    let requests = format!("GET {path} HTTP/1.1\r\nHost: hopline\r\n\r\n").repeat(100);
    let asking = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
    soon("the end of the connection", asking).await;
}

/// The sum of a server's metric over the series whose text holds all of `labels`.
pub(crate) async fn metric(admin: SocketAddr, name: &str, labels: &[&str]) -> f64 {
    let text = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    let series = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Waits until a server's metric reaches a value, for things that no client can see.
pub(crate) async fn metric_reaches(admin: SocketAddr, name: &str, labels: &[&str], at_least: f64) {
    soon(name, async {
        while metric(admin, name, labels).await < at_least {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
