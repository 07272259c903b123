use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt, TraceId, Tracer, TracerProvider,
    },
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider},
};

use super::{Link as Reference, *};

const LIMIT: Duration = Duration::from_secs(10);
const NODES: [&str; 3] = ["a", "b", "c"];

/// A process that sends spans, as the SDK does it.
struct Process {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Process {
    fn new(endpoint: &str, service: &str, instance: Option<&str>) -> Self {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().unwrap();
        let batches = BatchConfigBuilder::default().with_max_queue_size(100_000).build();
        let instance = instance.map(|instance| KeyValue::new("service.instance.id", instance.to_owned()));
        let resource = Resource::builder().with_service_name(service.to_owned()).with_attributes(instance);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .build();
        Self { tracer: provider.tracer("hopline"), provider }
    }

    /// Makes a span that lasts from and until so many microseconds after the message was intended.
    fn span(
        &self,
        name: &'static str,
        kind: SpanKind,
        parent: Option<&SpanContext>,
        (from_us, to_us): (u64, u64),
        attributes: Vec<KeyValue>,
    ) -> SpanContext {
        let at = |us| UNIX_EPOCH + Duration::from_micros(START_US + us);
        let context = parent
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent.clone()));
        let links = parent.filter(|_| name == "receive").map(|parent| Link::with_context(parent.clone()));
        let mut span = self
            .tracer
            .span_builder(name)
            .with_kind(kind)
            .with_start_time(at(from_us))
            .with_attributes(attributes)
            .with_links(links.into_iter().collect())
            .start_with_context(&self.tracer, &context);
        span.end_with_timestamp(at(to_us));
        span.span_context().clone()
    }
}

const START_US: u64 = 1_795_000_000_000_000;

/// Three servers and the load generator.
struct World {
    clients: Process,
    servers: Vec<Process>,
}

impl World {
    fn new(endpoint: &str) -> Self {
        Self {
            clients: Process::new(endpoint, "hopline-loadtest", None),
            servers: NODES.map(|node| Process::new(endpoint, "hopline", Some(node))).into(),
        }
    }

    /// A message that takes 1,000 µs and what it waits for PostgreSQL; server c lacks its spans if `is_whole` isn't set.
    fn message(&self, persist_us: u64, is_whole: bool) -> TraceId {
        let channel = || KeyValue::new("messaging.destination.name", "load-0123456789ab-17");
        let of_total = vec![
            channel(),
            KeyValue::new("hopline.seq", 7),
            KeyValue::new("hopline.client_message_id", "00000000-0000-8000-8000-000000000007"),
            KeyValue::new("hopline.recipients", 6),
        ];
        let total = self.clients.span("total", SpanKind::Client, None, (0, 1_000 + persist_us), of_total);
        let publisher = &self.servers[0];
        let of_accept = vec![
            channel(),
            KeyValue::new("messaging.message.id", "019ab000-0000-7000-8000-000000000007"),
            KeyValue::new("messaging.message.body.size", 200),
        ];
        let accept = publisher.span("accept", SpanKind::Server, Some(&total), (300, 320), of_accept);
        let committed = 320 + persist_us;
        let persist =
            publisher.span("persist", SpanKind::Internal, Some(&accept), (320, committed), vec![channel()]);
        let of_commit = vec![KeyValue::new("db.system.name", "postgresql")];
        publisher.span("commit", SpanKind::Client, Some(&persist), (330, committed), of_commit);
        let publish = publisher.span(
            "publish",
            SpanKind::Producer,
            Some(&persist),
            (committed, committed + 90),
            vec![channel()],
        );
        for (node, server) in NODES.iter().zip(&self.servers).filter(|(node, _)| is_whole || **node != "c") {
            let (received, handed) = (committed + 130, committed + 150);
            let receive = server.span(
                "receive",
                SpanKind::Consumer,
                Some(&publish),
                (received, handed),
                vec![channel()],
            );
            let last = if *node == "b" { handed + 500 } else { handed + 100 };
            let of_send = vec![KeyValue::new("hopline.recipients", 2), KeyValue::new("hopline.last_ms", 0.1)];
            let send = server.span("send", SpanKind::Producer, Some(&receive), (handed, last), of_send);
            let of_deliver = vec![KeyValue::new("hopline.node", *node)];
            self.clients.span("deliver", SpanKind::Consumer, Some(&send), (last + 5, last + 9), of_deliver);
        }
        total.trace_id()
    }

    fn flush(&self) {
        for process in self.servers.iter().chain([&self.clients]) {
            process.provider.force_flush().unwrap();
        }
    }
}

fn completeness(store: &Store, ids: &[TraceId]) -> Completeness {
    let nodes = NODES.map(str::to_owned);
    let expected = ids.iter().map(|&trace_id| Expected { trace_id, has_recipients: &[true; 3] });
    Completeness::of(store, &nodes, true, expected)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_the_sdk_exports_are_found_by_their_trace() {
    let receiver = Receiver::start().unwrap();
    let world = World::new(&receiver.endpoint());
    let id = world.message(500, true);
    let failed = world.servers[1].tracer.start("failed");
    let mut failed = failed;
    failed.set_status(Status::error("refused"));
    failed.end_with_timestamp(SystemTime::now());
    let failed_id = failed.span_context().trace_id();
    world.flush();
    let trace = receiver.wait_until(LIMIT, |store| store.trace(id).filter(|it| it.spans().len() == 14)).await;
    let trace = trace.expect("14 spans");
    let root = trace.root().unwrap();
    assert_eq!((&*root.name, root.kind.clone(), root.duration_ns()), ("total", SpanKind::Client, 1_500_000));
    assert_eq!(root.attribute("hopline.seq").and_then(Value::as_int), Some(7));
    assert_eq!((root.source.service.as_str(), root.source.instance.as_str()), ("hopline-loadtest", ""));
    let publish = trace.named("publish").next().unwrap();
    assert_eq!(trace.children(publish.span_id).count(), 3);
    for receive in trace.children(publish.span_id) {
        assert_eq!(*receive.links, [Reference { trace_id: id, span_id: publish.span_id }]);
    }
    let failed = receiver.wait_until(LIMIT, |store| store.trace(failed_id)).await.unwrap();
    assert_eq!(failed.spans()[0].error.as_deref(), Some("refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_what_does_not_come_ends() {
    let receiver = Receiver::start().unwrap();
    let nothing =
        receiver.wait_until(Duration::from_millis(20), |store| store.spans().first().cloned()).await;
    assert_eq!(nothing, None);
    assert_eq!(receiver.trace(TraceId::from(7)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_counts_what_it_refuses_and_keeps_what_it_has() {
    let receiver = Receiver::with_store(Store::with_limit(14)).unwrap();
    let world = World::new(&receiver.endpoint());
    let first = world.message(500, true);
    world.flush();
    let second = world.message(500, true);
    world.flush();
    let refused = receiver.wait_until(LIMIT, |store| (store.refused() == 14).then_some(())).await;
    assert_eq!(refused, Some(()));
    assert_eq!(receiver.trace(first).unwrap().spans().len(), 14);
    assert_eq!(receiver.trace(second), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_lacks_spans_is_incomplete() {
    let receiver = Receiver::start().unwrap();
    let world = World::new(&receiver.endpoint());
    let ids = [world.message(500, true), world.message(500, false), TraceId::from(7)];
    world.flush();
    receiver.wait_until(LIMIT, |store| (store.spans().len() == 25).then_some(())).await.unwrap();
    let store = receiver.store();
    assert_eq!(completeness(&store, &ids[..1]).percent(), Some(100.0));
    let all = completeness(&store, &ids);
    assert_eq!((all.messages, all.complete), (3, 1));
    let missing = [
        ("accept", 1),
        ("deliver", 1 + 3),
        ("persist", 1),
        ("publish", 1),
        ("receive", 1 + 3),
        ("send", 1 + 3),
        ("total", 1),
    ];
    assert_eq!(all.missing, missing.into());
    assert_eq!(completeness(&store, &[]).percent(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_traces_are_the_slowest_and_come_back_the_same() {
    let receiver = Receiver::start().unwrap();
    let world = World::new(&receiver.endpoint());
    let [quick, slow, slower] = [100, 9_000, 90_000].map(|us| world.message(us, true));
    world.flush();
    receiver.wait_until(LIMIT, |store| (store.spans().len() == 42).then_some(())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/traces.json");
    assert_eq!(save(&receiver.store(), 2, &path).unwrap(), 2);
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.slowest(9), [slower, slow]);
    assert_eq!(loaded.trace(slow), receiver.trace(slow));
    assert_eq!(loaded.trace(quick), None);
    let error = load(&folder.path().join("nowhere.json")).unwrap_err().to_string();
    assert!(error.contains("--trace-sample"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hops_and_what_is_unexplained_add_up_to_total() {
    let receiver = Receiver::start().unwrap();
    let world = World::new(&receiver.endpoint());
    let id = world.message(500, true);
    world.flush();
    let whole = |store: &Store| store.trace(id).filter(|trace| trace.spans().len() == 14);
    let trace = receiver.wait_until(LIMIT, whole).await.unwrap();
    let path = Path::of(&trace).unwrap();
    assert_eq!(path.node, "b");
    let ns: Vec<u64> = path.hops.iter().map(|(_, ns)| *ns).collect();
    assert_eq!(ns, [20_000, 500_000, 130_000, 20_000, 500_000]);
    assert_eq!(path.unexplained_ns(), 330_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_trace_is_as_jaeger_has_them() {
    let receiver = Receiver::start().unwrap();
    let world = World::new(&receiver.endpoint());
    let id = world.message(500, true);
    world.flush();
    let whole = |store: &Store| store.trace(id).filter(|trace| trace.spans().len() == 14);
    let trace = receiver.wait_until(LIMIT, whole).await.unwrap();
    let document = jaeger::document(&trace);
    let data = &document["data"][0];
    assert_eq!(data["traceID"], id.to_string());
    assert_eq!(data["processes"].as_object().unwrap().len(), 4);
    let spans = data["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 14);
    let publish = spans.iter().find(|span| span["operationName"] == "publish").unwrap();
    let receive = spans.iter().find(|span| span["operationName"] == "receive").unwrap();
    let reference =
        |kind| serde_json::json!({ "refType": kind, "traceID": id.to_string(), "spanID": publish["spanID"] });
    assert_eq!(receive["references"], serde_json::json!([reference("CHILD_OF"), reference("FOLLOWS_FROM")]));
    assert_eq!((&receive["startTime"], &receive["duration"]), (&(START_US + 950).into(), &20.into()));
    let kind = serde_json::json!({ "key": "span.kind", "type": "string", "value": "consumer" });
    assert!(receive["tags"].as_array().unwrap().contains(&kind));
    let process = receive["processID"].as_str().unwrap();
    assert_eq!(data["processes"][process]["serviceName"], "hopline");
}

/// What a span takes beside what it shares with others, as the allocator rounds it.
fn bytes(span: &Span) -> usize {
    let on_heap = |bytes: usize| if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) };
    let text = |value: &Value| on_heap(value.as_text().map_or(0, str::len));
    size_of::<Span>()
        + on_heap(size_of_val(&*span.attributes))
        + span.attributes.iter().map(|(_, value)| text(value)).sum::<usize>()
        + on_heap(size_of_val(&*span.links))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_takes_less_than_200_megabytes() {
    let receiver = Receiver::start().unwrap();
    let world = World::new(&receiver.endpoint());
    world.message(500, true);
    world.flush();
    receiver.wait_until(LIMIT, |store| (store.spans().len() == 14).then_some(())).await.unwrap();
    let mean = receiver.store().spans().iter().map(bytes).sum::<usize>() / 14;
    // The table of spans and that of traces double when they grow.
    let growing = size_of::<Span>() + 2 * size_of::<u32>() + size_of::<(TraceId, Vec<u32>)>() / 14 * 2;
    let full = SPANS_MAX * (mean + growing);
    assert!(full < 200_000_000, "{full}: {mean} and {growing} bytes a span");
}
