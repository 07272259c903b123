use std::{sync::Arc, time::Duration};

use opentelemetry::trace::{SpanId, SpanKind};

use super::*;
use crate::{
    audit::{Answer, Evidence, Record, Records},
    clock::Clock,
    identity::Identity,
    plan::{Bodies, Layout, Plan, Workload},
    traces::{Receiver, Store, Trace, Value},
};

const LIMIT: Duration = Duration::from_secs(10);

fn plan() -> Arc<Plan> {
    let default = Workload::default();
    Arc::new(Plan::new(&Workload {
        layout: Layout { publishers: 1, channels: 1, ..default.layout },
        rate_per_s: 100.0,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(30),
        ..default
    }))
}

/// Three messages to two recipients.
fn spans(share: f64, endpoint: &str) -> MessageSpans {
    let outbox = Outbox::start(Some(endpoint)).unwrap();
    let channels = vec!["load-1-0".to_owned()];
    MessageSpans::new(
        Sampling::new(share),
        outbox,
        plan(),
        Identity::new(Bodies::Fixed(200)),
        channels,
        vec![2],
    )
}

fn evidence() -> Evidence {
    let record = |index: u32| Record {
        channel: 0,
        intended_us: index * 10_000,
        sent_us: index * 10_000,
        answered_us: index * 10_000 + 700,
        answer: Answer::Acknowledged { seq: u64::from(index) + 1, id_tail: 0 },
        tries: 1,
    };
    Evidence {
        channels: vec!["load-1-0".to_owned()],
        records: Records(vec![(0..3).map(record).collect()]),
        ledgers: Vec::new(),
        history: vec![Vec::new()],
    }
}

fn whole(spans: usize) -> impl FnMut(&Store) -> Option<()> {
    move |store| (store.spans().len() == spans).then_some(())
}

#[test]
fn so_many_messages_are_sampled_as_were_asked_for() {
    let count = |share| {
        let sampling = Sampling::new(share);
        (0..100_000).filter(|&index| sampling.is_sampled(index)).count()
    };
    assert_eq!(count(0.0), 0);
    assert_eq!(count(1.0), 100_000);
    let tenth = count(0.1);
    assert!((9_500..10_500).contains(&tenth), "{tenth}");
}

#[test]
fn a_messages_identities_are_always_the_same_and_its_alone() {
    let (one, other) = (Sampling::new(0.5), Sampling::new(0.5));
    assert_eq!(one.traceparent(7), one.traceparent(7));
    assert_ne!(one.trace_id(7), one.trace_id(8));
    assert_ne!(one.total_id(7), one.total_id(8));
    assert_ne!(one.trace_id(7), other.trace_id(7));
}

#[test]
fn a_frame_says_whether_its_message_is_sampled() {
    for (share, flags) in [(1.0, "01"), (0.0, "00")] {
        let sampling = Sampling::new(share);
        let expected = format!("00-{}-{}-{flags}", sampling.trace_id(3), sampling.total_id(3));
        assert_eq!(sampling.traceparent(3), expected);
        assert_eq!(expected.len(), 55);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn total_lasts_from_the_intended_time_until_the_last_recipient_has_it() {
    let receiver = Receiver::start().unwrap();
    let spans = spans(1.0, &receiver.endpoint());
    let clock = Clock::starting_in(Duration::ZERO);
    spans.delivered(1, 2, 13_000, clock);
    spans.delivered(1, 2, 12_000, clock);
    receiver.wait_until(LIMIT, whole(1)).await.unwrap();
    let id = spans.sampling().trace_id(1);
    let trace = receiver.trace(id).unwrap();
    let total = trace.root().unwrap();
    assert_eq!(
        (&*total.name, total.kind.clone(), total.span_id),
        ("total", SpanKind::Client, spans.sampling().total_id(1))
    );
    assert_eq!(total.start_ns, clock.unix_us(10_000) * 1_000);
    assert_eq!(total.duration_ns(), 3_000_000);
    assert_eq!(total.source.service, "hopline-loadtest");
    assert_eq!(total.source.scope, "hopline");
    let told = |key| total.attribute(key).map(Value::to_string).unwrap();
    assert_eq!(told("messaging.destination.name"), "load-1-0");
    assert_eq!((told("hopline.seq"), told("hopline.recipients")), ("2".to_owned(), "2".to_owned()));
    assert!(told("hopline.client_message_id").ends_with("00000001"));
    assert_eq!(spans.slowest(5, &(0..30_000)), [Slow { trace_id: id, total_us: 3_000 }]);
    assert_eq!(spans.slowest(5, &(0..10_000)), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliver_is_a_child_of_the_span_that_came_with_the_message() {
    let receiver = Receiver::start().unwrap();
    let spans = spans(1.0, &receiver.endpoint());
    let clock = Clock::starting_in(Duration::ZERO);
    let id = spans.sampling().trace_id(1);
    for traceparent in
        ["", "nonsense", &format!("00-{id}-00f067aa0ba902b7-00"), &format!("00-{id}-0000000000000000-01")]
    {
        spans.deliver(traceparent, "b", (100, 107), clock);
    }
    spans.deliver(&format!("00-{id}-00f067aa0ba902b7-01"), "b", (100, 107), clock);
    spans.finish(&Evidence { records: Records(Vec::new()), ..evidence() }, clock).await;
    receiver.wait_until(LIMIT, whole(1)).await.unwrap();
    let trace = receiver.trace(id).unwrap();
    let deliver = trace.named("deliver").next().unwrap();
    assert_eq!(deliver.parent_id, SpanId::from_hex("00f067aa0ba902b7").unwrap());
    assert_eq!((deliver.kind.clone(), deliver.duration_ns()), (SpanKind::Consumer, 7_000));
    assert_eq!(deliver.attribute("hopline.node").and_then(Value::as_text), Some("b"));
    assert_eq!(spans.counters().read(), SpanCounts { ended: 1, exported: 1, failed: 0, dropped: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn total_of_a_message_that_someone_did_not_get_says_so() {
    let receiver = Receiver::start().unwrap();
    let spans = spans(1.0, &receiver.endpoint());
    let clock = Clock::starting_in(Duration::ZERO);
    (0..2).for_each(|_| spans.delivered(0, 1, 1_000, clock));
    spans.delivered(1, 2, 12_000, clock);
    spans.finish(&evidence(), clock).await;
    receiver.wait_until(LIMIT, whole(3)).await.unwrap();
    let trace = |index| -> Trace { receiver.trace(spans.sampling().trace_id(index)).unwrap() };
    let error = |index| trace(index).root().unwrap().error.as_deref().map(str::to_owned);
    assert_eq!(error(0), None);
    assert_eq!(error(1).as_deref(), Some("1 of 2 recipients have got it"));
    assert_eq!(error(2).as_deref(), Some("0 of 2 recipients have got it"));
    assert_eq!(trace(2).root().unwrap().duration_ns(), 700_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsampled_message_leaves_no_span() {
    let receiver = Receiver::start().unwrap();
    let spans = spans(0.0, &receiver.endpoint());
    let clock = Clock::starting_in(Duration::ZERO);
    (0..2).for_each(|_| spans.delivered(0, 1, 1_000, clock));
    spans.finish(&evidence(), clock).await;
    assert_eq!(spans.counters().read(), SpanCounts::default());
    assert_eq!(receiver.spans(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_does_not_take_is_counted() {
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", refusing.local_addr().unwrap());
    drop(refusing);
    let spans = spans(1.0, &endpoint);
    let clock = Clock::starting_in(Duration::ZERO);
    (0..2).for_each(|_| spans.delivered(0, 1, 1_000, clock));
    spans.finish(&Evidence { records: Records(Vec::new()), ..evidence() }, clock).await;
    assert_eq!(spans.counters().read(), SpanCounts { ended: 1, exported: 0, failed: 1, dropped: 0 });
    spans.deliver(&spans.sampling().traceparent(0), "a", (1, 2), clock);
    assert_eq!(spans.counters().read(), SpanCounts { ended: 2, exported: 0, failed: 1, dropped: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_holds_nobody_up() {
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let spans = spans(1.0, &format!("http://{}", deaf.local_addr().unwrap()));
    let clock = Clock::starting_in(Duration::ZERO);
    let traceparent = spans.sampling().traceparent(0);
    (0..20_000).for_each(|_| spans.deliver(&traceparent, "a", (1, 2), clock));
    let counts = spans.counters().read();
    assert_eq!((counts.ended, counts.exported, counts.failed), (20_000, 0, 0));
    assert!((3_000..=3_616).contains(&counts.dropped), "{counts:?}");
}

/// The attributes that `docs/TELEMETRY.md` lists for a span of the generator's.
fn documented(name: &str) -> Vec<String> {
    let document = include_str!("../../../docs/TELEMETRY.md");
    let (_, ours) = document.split_once("## The load generator").unwrap();
    let row = ours.lines().find(|line| line.starts_with(&format!("| `{name}` | "))).unwrap();
    let attributes = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
    attributes.split(", ").map(|attribute| attribute.trim_matches('`').to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_lists_every_attribute() {
    let receiver = Receiver::start().unwrap();
    let spans = spans(1.0, &receiver.endpoint());
    let clock = Clock::starting_in(Duration::ZERO);
    spans.deliver(&spans.sampling().traceparent(0), "a", (1, 2), clock);
    (0..2).for_each(|_| spans.delivered(0, 1, 1_000, clock));
    receiver.wait_until(LIMIT, whole(2)).await.unwrap();
    for span in receiver.spans() {
        let attributes: Vec<&str> = span.attributes.iter().map(|(key, _)| &**key).collect();
        assert_eq!(documented(&span.name), attributes, "{}", span.name);
    }
}
