//! Traces in a file, as OTLP's JSON: any tool that reads OTLP can read it.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{BufReader, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::trace::v1::TracesData;

use super::{otlp, span::Source, store::Store};

/// Writes the `traces_max` slowest traces; returns how many there were.
pub(crate) fn save(store: &Store, traces_max: usize, path: &Path) -> anyhow::Result<usize> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    }
    let ids = slowest_first(store, traces_max);
    let mut by_source: HashMap<&Arc<Source>, Vec<_>> = HashMap::new();
    for span in ids.iter().flat_map(|id| store.spans_of(*id)) {
        by_source.entry(&span.source).or_default().push(span);
    }
    let resources = by_source.into_iter().map(|(source, spans)| otlp::resource_spans(source, &spans));
    let data = TracesData { resource_spans: resources.collect() };
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        serde_json::to_writer(&mut file, &data)?;
        file.flush()
    };
    write().with_context(|| format!("can't write {}", path.display()))?;
    Ok(ids.len())
}

/// The traces without their roots, of which nobody knows how long they took, come last.
fn slowest_first(store: &Store, traces_max: usize) -> Vec<TraceId> {
    let mut ids = store.slowest(traces_max);
    let known: HashSet<TraceId> = ids.iter().copied().collect();
    ids.extend(store.trace_ids().filter(|id| !known.contains(id)).take(traces_max - ids.len()));
    ids
}

/// Reads what [`save`] has written, or anyone else as OTLP's JSON.
pub(crate) fn load(path: &Path) -> anyhow::Result<Store> {
    let file = File::open(path).with_context(|| {
        format!(
            "can't read {}. `run` and `adr` write it when they load a lab with --trace-sample above 0",
            path.display()
        )
    })?;
    let data: TracesData = serde_json::from_reader(BufReader::new(file))
        .with_context(|| format!("{} holds no traces as OTLP's JSON has them", path.display()))?;
    let mut store = Store::new();
    store.add(data.resource_spans);
    Ok(store)
}
