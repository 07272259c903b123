//! `docs/PROTOCOL.md` shows the frames as they are: every example, every code, every limit.

use std::{collections::BTreeSet, net::SocketAddr};

use hopline::protocol::{
    Ack, ClientFrame, CloseCode, ErrorCode, HistoryPage, ProtocolError, PublishRequest, ServerFrame,
};
use hopline::token::Claims;
use hopline_loadtest::{
    credentials::Need,
    lab::{Lab, LabOptions},
};
use reqwest::{Client, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Peer,
    document::{Block, blocks, read, table},
    lab_with, options, soon,
};

/// The document's mark of the examples that only a running server can confirm.
const READYZ: &str = "json readyz";

/// What is wrong with a document's examples.
fn problems(document: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut shown = BTreeSet::new();
    for Block { mark, text } in blocks(document).iter().filter(|block| block.mark.starts_with("json")) {
        let compared = match mark.as_str() {
            "json client" => compare::<ClientFrame>(text),
            "json server" => compare::<ServerFrame>(text),
            "json http HistoryPage" => compare::<HistoryPage>(text),
            "json http PublishRequest" => compare::<PublishRequest>(text),
            "json claims" => compare::<Claims>(text),
            "json http Ack" => compare::<Ack>(text),
            "json http ProtocolError" => compare::<ProtocolError>(text),
            READYZ => serde_json::from_str(text).map_err(|error| error.to_string()),
            _ => Err("no one knows this mark".into()),
        };
        match compared {
            Ok(value) => drop(shown.insert(format!("{mark} {}", value["type"].as_str().unwrap_or_default()))),
            Err(error) => problems.push(format!("{mark}: {error}: {text}")),
        }
    }
    let frames = variants::<ClientFrame>().into_iter().map(|name| format!("json client {name}"));
    let frames =
        frames.chain(variants::<ServerFrame>().into_iter().map(|name| format!("json server {name}")));
    let bodies = ["HistoryPage", "PublishRequest", "Ack", "ProtocolError"];
    let expected = frames.chain(bodies.map(|name| format!("json http {name} ")));
    problems
        .extend(expected.filter(|example| !shown.contains(example)).map(|example| format!("no {example}")));
    problems
}

/// The example, if it is a `T` and nothing but a `T`.
fn compare<T: DeserializeOwned + Serialize>(text: &str) -> Result<Value, String> {
    let example: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let parsed: T = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let written = serde_json::to_value(parsed).map_err(|error| error.to_string())?;
    if written == example { Ok(example) } else { Err(format!("it is written as {written}")) }
}

/// The types of a frame enum: what serde says that it expected instead of one that doesn't exist.
fn variants<T: DeserializeOwned>() -> Vec<String> {
    let error = serde_json::from_value::<T>(json!({ "type": "" })).err().expect("no frame has an empty type");
    let error = error.to_string();
    let (_, expected) = error.split_once("expected one of ").expect("serde names what it expected");
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_example_is_what_the_code_reads_and_writes_and_every_frame_has_one() {
    assert_eq!(problems(&read("PROTOCOL.md")), [""; 0]);
}

#[test]
fn wrong_and_missing_examples_are_found() {
    let good = blocks(&read("PROTOCOL.md"))
        .iter()
        .fold(String::new(), |text, block| text + &format!("```{}\n{}\n```\n", block.mark, block.text));
    assert_eq!(problems(&good), [""; 0]);
    let spoilt = [
        ("\"type\": \"ping\"", "\"type\": \"pinged\""),
        ("\"type\": \"pong\"", "\"type\": \"pong\", \"extra\": 1"),
        ("\"last_seq\": 41, ", ""),
        ("\"repeated\": true", "\"repeated\": false"),
        ("json http Ack", "json http Nack"),
        ("json client\n{ \"type\": \"ping\" }", "text"),
    ];
    for (right, wrong) in spoilt {
        assert!(good.contains(right), "{right} is not in the document any more");
        assert_ne!(problems(&good.replacen(right, wrong, 1)), [""; 0], "{wrong} passed");
    }
}

#[test]
fn the_table_of_errors_lists_every_code_and_whether_it_is_retryable() {
    let stated = table(&read("PROTOCOL.md"), "code").into_iter().map(|row| row[..2].join(" "));
    let yes_or_no = |code: ErrorCode| if code.is_retryable() { "yes" } else { "no" };
    let actual = ErrorCode::ALL.map(|code| format!("{} {}", code.as_str(), yes_or_no(code)));
    assert_eq!(stated.collect::<Vec<_>>(), actual);
}

#[test]
fn the_table_of_close_codes_lists_every_code_with_its_number_and_reason() {
    let document = read("PROTOCOL.md");
    let (_, section) = document.split_once("## Close codes").unwrap();
    let stated = table(section, "code").into_iter().map(|row| row[..2].join(" "));
    let actual = CloseCode::ALL.map(|code| format!("{} {}", code.number(), code.as_str()));
    assert_eq!(stated.collect::<Vec<_>>(), actual);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_states_the_limits_and_the_health_of_the_examples() {
    let document = read("PROTOCOL.md");
    let options = LabOptions { usual_limits: true, ..options(1, &[]) };
    let lab = Lab::start(options).await.unwrap();
    let address = lab.addrs()[0];
    let hello = &blocks(&document)[0];
    let hello: Value = serde_json::from_str(&hello.text).unwrap();
    let limits = Peer::connect(address, "ann").await.0.hello().limits;
    assert_eq!(hello["limits"], json!(limits));

    let examples = blocks(&document).into_iter().filter(|block| block.mark == READYZ);
    let examples: Vec<Value> = examples.map(|block| serde_json::from_str(&block.text).unwrap()).collect();
    let becomes = async |example: &Value| {
        let url = format!("http://{address}/readyz");
        let answer = async || reqwest::get(&url).await.unwrap().json::<Value>().await.unwrap();
        soon("the example of readiness", async { while answer().await != *example {} }).await;
    };
    assert_eq!(examples.len(), 2);
    becomes(&examples[0]).await;
    lab.backend().kill();
    becomes(&examples[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_errors_states_the_http_status() {
    let lab = lab_with(1, &["--connections-max=1"]).await;
    let strict = ["--connections-max=2", "--connections-per-address-max=1", "--publish-burst-max=1"];
    let strict =
        lab.start_server("strict", &[&strict[..], &["--publish-rate-max=1"]].concat()).await.unwrap();
    let address = lab.server("a").public_addr();
    let stated = table(&read("PROTOCOL.md"), "code");
    let confirm = async |response: reqwest::Response| {
        let status = response.status();
        let code = response.json::<ProtocolError>().await.unwrap().code;
        let row = stated.iter().find(|row| row[0] == code.as_str()).unwrap();
        assert_eq!(row[2], status.as_str(), "{row:?}");
        code
    };
    let id = Uuid::new_v4();
    let post_to = async |address: SocketAddr, channel: &str, body: &str| {
        let url = format!("http://{address}/v1/channels/{channel}/messages");
        let request = json!({ "client_message_id": id, "sender": "ann", "body": body });
        Client::new().post(url).json(&request).send().await.unwrap()
    };
    let post = async |channel: &str, body: &str| post_to(address, channel, body).await;
    assert_eq!(post("general", "hello").await.status(), StatusCode::CREATED);
    assert_eq!(post("general", "hello").await.status(), StatusCode::OK);
    let websocket = |address| format!("http://{address}/v1/ws");
    let mut confirmed = vec![
        confirm(post("general", "other").await).await,
        confirm(post("a%20b", "hello").await).await,
        confirm(post("general", "").await).await,
        confirm(post("general", &"x".repeat(40_000)).await).await,
        confirm(reqwest::get(websocket(address)).await.unwrap()).await,
    ];
    let upgrade = async |address| {
        let request = Client::new().get(websocket(address)).header("connection", "upgrade");
        let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
        request.header("sec-websocket-key", "aGVsbG8gaGVsbG8gaGVsbA==").send().await.unwrap()
    };
    for address in [address, strict.public_addr()] {
        let _only = Peer::connect(address, "ann").await;
        confirmed.push(confirm(upgrade(address).await).await);
    }
    post_to(strict.public_addr(), "general", "hello").await;
    confirmed.push(confirm(post_to(strict.public_addr(), "general", "hello").await).await);
    let page = Client::new().get(websocket(address)).header("origin", "https://elsewhere.example");
    confirmed.push(confirm(page.send().await.unwrap()).await);
    let locked = Lab::start(LabOptions { auth: true, ..options(1, &[]) }).await.unwrap();
    let token = locked.credentials().token("ann", Need::Read("other")).unwrap().unwrap().0;
    let history = format!("http://{}/v1/channels/general/messages", locked.addrs()[0]);
    confirmed.push(confirm(reqwest::get(&history).await.unwrap()).await);
    confirmed.push(confirm(Client::new().get(&history).bearer_auth(token).send().await.unwrap()).await);
    lab.postgres().kill().await;
    let history = format!("http://{address}/v1/channels/general/messages");
    confirmed.push(confirm(reqwest::get(history).await.unwrap()).await);

    // A server that shuts down stops listening: that one is seen only by a connection which it took before.
    let over_http = stated.iter().filter(|row| row[2] != "–" && row[0] != "shutting_down");
    let over_http: BTreeSet<&str> = over_http.map(|row| row[0].as_str()).collect();
    assert_eq!(confirmed.iter().map(|code| code.as_str()).collect::<BTreeSet<_>>(), over_http);
}
