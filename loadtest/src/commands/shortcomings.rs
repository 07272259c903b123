//! What was asked of a run's traces and doesn't hold.

use crate::report::TraceReport;

/// Why the traces are not what was asked for: this share of them complete, and each span accounted for.
pub(super) fn shortcomings(report: &TraceReport, complete_at_least: f64) -> Vec<String> {
    let mut shortcomings = Vec::new();
    let completeness = report.completeness.clone().unwrap_or_default();
    let (complete, messages) = (completeness.complete, completeness.messages);
    if messages == 0 {
        shortcomings.push("no sampled message was acknowledged".to_owned());
    } else if (complete as f64) < complete_at_least * messages as f64 {
        shortcomings.push(format!(
            "{complete} of {messages} traces are complete, which is less than {} %",
            complete_at_least * 100.0
        ));
    }
    match report.server_spans {
        None => shortcomings.push("not every server tells what became of its spans".to_owned()),
        Some(counts) if !counts.add_up() => {
            shortcomings.push(format!("the servers' spans don't add up: {counts}"));
        }
        Some(_) => {}
    }
    if !report.generator_spans.add_up() {
        shortcomings.push(format!("the generator's spans don't add up: {}", report.generator_spans));
    }
    shortcomings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{spans::SpanCounts, traces::Completeness};

    fn report(complete: u64, server_spans: Option<SpanCounts>, generator_spans: SpanCounts) -> TraceReport {
        TraceReport {
            sample_share: 1.0,
            messages: 1_000,
            completeness: Some(Completeness { messages: 1_000, complete, ..Completeness::default() }),
            spans_received: None,
            spans_refused: None,
            generator_spans,
            server_spans,
            shortcomings: Vec::new(),
            slowest: Vec::new(),
            saved: None,
        }
    }

    #[test]
    fn too_few_complete_traces_and_lost_spans_fall_short() {
        let whole = SpanCounts { ended: 9, exported: 6, failed: 2, dropped: 1 };
        let lossy = SpanCounts { ended: 10, ..whole };
        assert_eq!(shortcomings(&report(999, Some(whole), whole), 0.999), [""; 0]);
        let few = shortcomings(&report(998, Some(whole), whole), 0.999);
        assert_eq!(few, ["998 of 1000 traces are complete, which is less than 99.9 %"]);
        let lost = "spans don't add up: 10 ended, 6 exported, 2 failed, 1 dropped";
        assert_eq!(
            shortcomings(&report(1_000, Some(lossy), lossy), 0.999),
            [format!("the servers' {lost}"), format!("the generator's {lost}")]
        );
        let untold = TraceReport { completeness: None, ..report(0, None, whole) };
        assert_eq!(
            shortcomings(&untold, 0.0),
            ["no sampled message was acknowledged", "not every server tells what became of its spans"]
        );
    }
}
