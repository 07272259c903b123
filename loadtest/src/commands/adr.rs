//! `adr`: which of the decision's claims hold?

use std::path::Path;

use hopline::hop::Hop;

use super::run::Load;
use crate::{
    budget::Budget,
    cli::AdrArgs,
    exit::Exit,
    progress::Progress,
    report::{Conclusion, RunReport, publish, write_page},
    verdict::{Judged, judge},
};

pub(super) async fn execute(args: &AdrArgs) -> anyhow::Result<Exit> {
    let budget = Budget::load(args.budget.as_deref())?;
    let mut progress = Progress::new();
    let totals = budget.latencies().filter(|(_, limit)| limit.hop == Hop::Total);
    let claimed_ms = totals.map(|(_, limit)| limit.limit_ms).reduce(f64::min);
    let load = Load::new(&args.load, claimed_ms);
    let loaded = load.carry_out(&args.load, &mut progress).await?;
    drop(progress);
    let measured = &loaded.measured;
    let is_valid = measured.invalid.is_empty();
    let claims = judge(&budget, &loaded.latencies, &measured.audit, is_valid);
    let of_claims = |claims: &[Judged]| {
        Conclusion::of(&measured.invalid, &measured.audit, claims).with_traces(measured.traces.as_ref())
    };
    let (result, proven) = (of_claims(&claims), of_claims(&[]) == Conclusion::Pass);
    let report = loaded.report(load.workload, result);
    let report = RunReport { decision: Some(budget.decision), claims, ..report };
    publish(&report, Some(args.json.as_deref().unwrap_or(Path::new("results/adr.json"))))?;
    write_page(&report, args.load.html.as_deref())?;
    Ok(if args.exit_zero && proven { Exit::Pass } else { report.result.exit() })
}
