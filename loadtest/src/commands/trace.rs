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

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    /// Two traces, the second of which took longer.
    fn store() -> Store {
        let span = |trace: u128, ns| Span {
            trace_id: (0xabcd_0000_0000_0000_0000_0000_0000_0000 | trace).to_be_bytes().to_vec(),
            span_id: vec![1; 8],
            end_time_unix_nano: ns,
            ..Span::default()
        };
        let scope_spans = ScopeSpans { spans: vec![span(1, 10), span(2, 20)], ..ScopeSpans::default() };
        let mut store = Store::new();
        store.add(vec![ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() }]);
        store
    }

    fn found(which: &str) -> String {
        let which = if which == "slowest" { WhichTrace::Slowest } else { WhichTrace::Id(which.to_owned()) };
        find(&store(), &which).map_or_else(|error| error.to_string(), |id| id.to_string())
    }

    #[test]
    fn a_trace_is_found_by_its_identity_or_as_the_slowest() {
        assert_eq!(found("slowest"), "abcd0000000000000000000000000002");
        assert_eq!(found("abcd0000000000000000000000000001"), "abcd0000000000000000000000000001");
    }

    #[test]
    fn what_is_not_found_or_not_one_trace_is_explained() {
        assert!(found("abcd").starts_with("several traces begin with abcd"));
        let unknown = found("1234");
        assert!(unknown.starts_with("no trace begins with 1234"), "{unknown}");
        assert!(unknown.contains("\n  abcd0000000000000000000000000002\n"), "{unknown}");
        let nothing = find(&Store::new(), &WhichTrace::Slowest).unwrap_err().to_string();
        assert_eq!(nothing, "there is no trace with its root");
    }
}
