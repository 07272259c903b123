//! One trace from the sending client to the receiving ones, exactly as `docs/TELEMETRY.md` states it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hopline::protocol::{ClientFrame, Message, ServerFrame};
use hopline_loadtest::{
    lab::Lab,
    traces::{Receiver, Span, Trace, Value},
};
use opentelemetry::trace::{SpanId, TraceId};
use uuid::Uuid;

use crate::support::{Peer, document, fault, lab_traced, metric};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: &str = "00f067aa0ba902b7";
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);

/// What one message published at `a` leaves behind, with one subscriber at `a`, two at `b` and none at `c`.
const TREE: &str = "\
accept Server a
  persist Internal a
    commit Client a
    publish Producer a
      receive Consumer a, linked: self
        send Producer a: 1 recipients
      receive Consumer b, linked: peer
        send Producer b: 2 recipients
      receive Consumer c, linked: peer, unwatched
";

/// Publishes with a sampled context, and returns the message as a subscriber at `b` got it.
async fn publish_sampled(lab: &Lab) -> Message {
    let mut at_a = Peer::connect(lab.server("a").public_addr(), "alice").await;
    let mut first = Peer::connect(lab.server("b").public_addr(), "bob").await;
    let mut second = Peer::connect(lab.server("b").public_addr(), "carol").await;
    for peer in [&mut at_a, &mut first, &mut second] {
        peer.subscribe("traced", None).await;
    }
    let mut publisher = Peer::connect(lab.server("a").public_addr(), "dave").await;
    publish(&mut publisher, Some(&format!("00-{TRACE}-{CLIENT_SPAN}-01"))).await;
    at_a.message().await;
    second.message().await;
    first.message().await
}

async fn publish(peer: &mut Peer, traceparent: Option<&str>) {
    let publish = ClientFrame::Publish {
        channel: "traced".into(),
        client_message_id: Uuid::new_v4(),
        body: "hello".into(),
        traceparent: traceparent.map(str::to_owned),
    };
    peer.0.send(&publish).await.unwrap();
    assert!(matches!(peer.next().await, ServerFrame::Ack(_)));
}

/// All that there is of the trace: the servers are stopped first, which sends their last spans.
async fn whole_trace(lab: &Lab, receiver: &Receiver) -> Trace {
    for server in lab.servers() {
        assert!(server.terminate().await.unwrap().success());
    }
    receiver.trace(TraceId::from_hex(TRACE).unwrap()).expect("the trace")
}

/// A trace as text: a line a span, below its parent, servers in the order of their names.
fn tree(trace: &Trace, parent: SpanId, depth: usize) -> String {
    let mut children: Vec<&Span> = trace.children(parent).collect();
    children.sort_by_key(|span| (span.name.to_string(), span.source.instance.clone()));
    children.iter().map(|span| line(span, depth) + &tree(trace, span.span_id, depth + 1)).collect()
}

fn line(span: &Span, depth: usize) -> String {
    let text = |key| span.attribute(key).map(ToString::to_string);
    let mut line = format!("{}{} {:?} {}", "  ".repeat(depth), span.name, span.kind, span.source.instance);
    if !span.links.is_empty() {
        assert!(
            span.links.iter().all(|link| link.span_id == span.parent_id && link.trace_id == span.trace_id)
        );
        line += ", linked";
    }
    line += &text("hopline.origin").map_or(String::new(), |origin| format!(": {origin}"));
    line += &text("hopline.arrival").map_or(String::new(), |arrival| format!(", {arrival}"));
    line += &text("hopline.recipients").map_or(String::new(), |count| format!(": {count} recipients"));
    line + "\n"
}

/// The attributes that each span must have: `docs/TELEMETRY.md` lists those, and those in brackets that it may have.
fn stated_attributes() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let rows = document::table(&document::read("TELEMETRY.md"), "span").into_iter();
    rows.map(|row| {
        let names = row.last().unwrap().split(", ").filter(|name| name.contains('.')).map(str::to_owned);
        let (may, must): (Vec<String>, Vec<String>) = names.partition(|name| name.starts_with('('));
        let may = may.iter().map(|name| name.trim_matches(['(', ')']).to_owned()).collect();
        (row[0].clone(), (must, may))
    })
    .collect()
}

fn assert_attributes_are_as_stated(trace: &Trace) {
    let stated = stated_attributes();
    for span in trace.spans() {
        let (must, may) = &stated[&*span.name];
        let names: Vec<String> = span.attributes.iter().map(|(name, _)| name.to_string()).collect();
        for name in must {
            assert!(names.contains(name), "{} lacks {name}: {names:?}", span.name);
        }
        for name in &names {
            assert!(
                must.contains(name) || may.contains(name),
                "{} has {name}, which is not stated",
                span.name
            );
        }
    }
}

/// Each hop starts where the last one ended, and the commit lies within its `persist`.
fn assert_times_fit(trace: &Trace) {
    let parent = |span: &Span| trace.span(span.parent_id).cloned();
    for span in trace.spans() {
        assert!(span.start_ns <= span.end_ns, "{span:?}");
        let Some(parent) = parent(span) else { continue };
        match &*span.name {
            "persist" | "publish" | "send" => assert_eq!(span.start_ns, parent.end_ns, "{}", span.name),
            "commit" => assert!(span.start_ns >= parent.start_ns && span.end_ns <= parent.end_ns),
            // Servers of one machine share its clock, but each one read it for itself when it started.
            "receive" if span.source.instance == parent.source.instance => {
                assert!(span.start_ns >= parent.start_ns);
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_leaves_exactly_one_tree_of_spans_over_all_servers() {
    let receiver = Receiver::start().unwrap();
    let lab = lab_traced(3, &[], &receiver).await;
    let message = publish_sampled(&lab).await;
    let trace = whole_trace(&lab, &receiver).await;
    assert_eq!(tree(&trace, SpanId::from_hex(CLIENT_SPAN).unwrap(), 0), TREE);
    assert_eq!(receiver.spans().len(), TREE.lines().count(), "and nothing beside the tree");
    assert_attributes_are_as_stated(&trace);
    assert_times_fit(&trace);

    let send = trace.named("send").find(|span| span.source.instance == "b").unwrap();
    let theirs = format!("00-{TRACE}-{}-01", send.span_id);
    assert_eq!(message.traceparent, Some(theirs), "the frame leads to the span that sent it");
    assert_eq!(send.attribute("hopline.recipients").unwrap().as_int(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_broker_loses_the_context_the_tree_ends_at_publish() {
    let receiver = Receiver::start().unwrap();
    let lab = lab_traced(3, &["--fault-switches"], &receiver).await;
    fault(&lab.server("a"), &["lose-context"]);
    let message = publish_sampled(&lab).await;
    assert_eq!(message.traceparent, None);
    let trace = whole_trace(&lab, &receiver).await;
    let found = tree(&trace, SpanId::from_hex(CLIENT_SPAN).unwrap(), 0);
    assert_ne!(found, TREE);
    assert_eq!(found, TREE.split_inclusive('\n').take(4).collect::<String>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_decides_whether_a_message_is_sampled() {
    let receiver = Receiver::start().unwrap();
    let lab = lab_traced(1, &[], &receiver).await;
    let mut peer = Peer::connect(lab.server("a").public_addr(), "alice").await;
    publish(&mut peer, Some(&format!("00-{TRACE}-{CLIENT_SPAN}-00"))).await;
    // Without a context the server begins a trace of its own, of which `accept` is the root.
    publish(&mut peer, None).await;
    let found = receiver.wait_until(ARRIVAL_LIMIT, |store| {
        let spans = store.spans();
        spans.iter().any(|span| &*span.name == "receive").then(|| spans.to_vec())
    });
    let spans = found.await.expect("the second message's spans");
    assert!(spans.iter().all(|span| span.trace_id != TraceId::from_hex(TRACE).unwrap()));
    let roots: Vec<&str> = spans.iter().filter(|span| span.is_root()).map(|span| &*span.name).collect();
    assert_eq!(roots, ["accept"]);
    assert!(metric(lab.server("a").admin_addr(), "hopline_spans_total", &["failed"]).await < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healed_message_keeps_its_trace() {
    let receiver = Receiver::start().unwrap();
    let lab = lab_traced(2, &["--fault-switches", "--check-interval-ms=50"], &receiver).await;
    let mut bob = Peer::connect(lab.server("b").public_addr(), "bob").await;
    bob.subscribe("traced", None).await;
    fault(&lab.server("b"), &["lose", "1"]);
    let mut publisher = Peer::connect(lab.server("a").public_addr(), "dave").await;
    publish(&mut publisher, Some(&format!("00-{TRACE}-{CLIENT_SPAN}-01"))).await;
    bob.message().await;
    let trace = whole_trace(&lab, &receiver).await;
    let healed = trace.named("receive").find(|span| span.source.instance == "b").unwrap();
    assert_eq!(healed.attribute("hopline.origin").unwrap().as_text(), Some("healed"));
    assert_eq!(&*trace.span(healed.parent_id).unwrap().name, "accept");
    let sent = trace.named("send").any(|span| span.parent_id == healed.span_id);
    assert!(sent, "and is sent within it");
    assert!(
        healed.links.is_empty() && healed.attribute("messaging.system").is_none(),
        "no broker was between"
    );
    let heal = receiver.spans().into_iter().find(|span| &*span.name == "heal").expect("healing is traced");
    let names: Vec<&str> = heal.attributes.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["hopline.channels"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_the_first_messages_and_has_links_to_the_others_of_its_batch() {
    const MESSAGES: usize = 8;
    let receiver = Receiver::start().unwrap();
    let lab = lab_traced(1, &[], &receiver).await;
    let mut peer = Peer::connect(lab.server("a").public_addr(), "alice").await;
    peer.publish("batches", "connects").await;
    // While the first message's commit hangs, the others come together.
    lab.postgres().freeze();
    for _ in 0..MESSAGES {
        peer.0.publish("batches", Uuid::new_v4(), "hello").await.unwrap();
    }
    // A frame that is refused at once: by its answer all before it are accepted. However many of them are in
    // hanging commits, the others come in the next.
    peer.0.send_text("not a frame").await.unwrap();
    peer.refusal().await;
    lab.postgres().thaw();
    for _ in 0..MESSAGES {
        assert!(matches!(peer.next().await, ServerFrame::Ack(_)));
    }
    assert!(lab.server("a").terminate().await.unwrap().success());
    let spans = receiver.spans();
    let size = |span: &Span| span.attribute("db.operation.batch.size").and_then(Value::as_int);
    let commit = spans.iter().max_by_key(|span| size(span)).expect("a commit");
    let persists: Vec<&Span> =
        spans.iter().filter(|span| &*span.name == "persist" && span.end_ns == commit.end_ns).collect();
    assert!(persists.len() >= 2, "a batch of several");
    assert_eq!(size(commit), i64::try_from(persists.len()).ok());
    let linked = commit.links.iter().map(|link| link.span_id).chain([commit.parent_id]);
    let expected: BTreeSet<[u8; 8]> = persists.iter().map(|span| span.span_id.to_bytes()).collect();
    assert_eq!(linked.map(SpanId::to_bytes).collect::<BTreeSet<_>>(), expected);
}
