//! `adr`: which of the decision's claims hold?

use super::{Ground, telemetry::Telling};
use crate::{
    budget::Budget,
    cli::AdrArgs,
    exit::Exit,
    plan::Workload,
    progress::Progress,
    report::{Conclusion, RunReport, publish, write_page},
    verdict::judge,
};

pub(super) async fn execute(args: &AdrArgs) -> anyhow::Result<Exit> {
    let budget = Budget::load(args.budget.as_deref())?;
    let mut progress = Progress::new();
    let telling = Telling::start(&args.telemetry, args.target.target.is_empty(), &progress).await?;
    let ground = Ground::prepare(&args.target, telling.otlp_endpoint(), &mut progress).await?;
    let workload = Workload::from(&args.workload);
    let (measured, latencies) = super::run::measure(&workload, &ground, &telling, &mut progress).await?;
    drop(progress);
    let claims = judge(&budget, &latencies, &measured.audit, measured.invalid.is_empty());
    let result = Conclusion::of(&measured.invalid, &measured.audit, &claims);
    let proven = measured.invalid.is_empty() && measured.audit.is_clean();
    let report = RunReport { result, workload, measured, decision: Some(budget.decision), claims };
    publish(&report, Some(&args.json))?;
    write_page(&report, args.html.as_deref())?;
    Ok(if args.exit_zero && proven { Exit::Pass } else { result.exit() })
}
