//! `trace`: which server did what, when.

use std::io::{Write, stdout};

use anyhow::{Context, bail};
use opentelemetry::trace::TraceId;

use crate::{
    cli::{TraceArgs, WhichTrace},
    exit::Exit,
    report::{Style, waterfall},
    traces::{Store, export, load},
};

/// Identities that are named when one isn't found.
const NAMED_MAX: usize = 5;

pub(super) fn execute(args: &TraceArgs) -> anyhow::Result<Exit> {
    let store = load(&args.traces)?;
    let id = find(&store, &args.trace).with_context(|| format!("in {}", args.traces.display()))?;
    let trace = store.trace(id).context("the trace has no spans")?;
    let text = match &args.export {
        Some(path) => {
            export(&trace, path)?;
            format!(
                "{} with {} spans; open it in Jaeger: Search, Upload\n",
                path.display(),
                trace.spans().len()
            )
        }
        None => waterfall(&trace, Style::of_stdout()),
    };
    stdout().write_all(text.as_bytes()).context("can't print the trace")?;
    Ok(Exit::Pass)
}

fn find(store: &Store, which: &WhichTrace) -> anyhow::Result<TraceId> {
    let slowest = store.slowest(NAMED_MAX);
    let beginning = match which {
        WhichTrace::Slowest => return slowest.first().copied().context("there is no trace with its root"),
        WhichTrace::Id(beginning) => beginning,
    };
    let mut found = store.trace_ids().filter(|id| id.to_string().starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => bail!("several traces begin with {beginning}; give more of its digits"),
        (None, _) => {
            let some: Vec<String> = slowest.iter().map(|id| format!("  {id}")).collect();
            bail!(
                "no trace begins with {beginning}. Only sampled messages have one, and only the slowest of the last run \
                 are kept. These took longest:\n{}",
                some.join("\n")
            )
        }
    }
}
