//! `compare`: what changed between two builds, by the reports of their runs.

use std::path::PathBuf;

use crate::{
    archive::Run,
    compare::{CompareArgs, Comparison, LimitArgs, Limits, reasons},
    exit::Exit,
    report::{CompareReport, Conclusion, publish},
};

pub(super) fn execute(args: &CompareArgs) -> anyhow::Result<Exit> {
    let (baseline, candidate) = match &args.files[..] {
        [baseline, candidate] => (std::slice::from_ref(baseline), std::slice::from_ref(candidate)),
        _ => (&args.baseline[..], &args.candidate[..]),
    };
    let read =
        |files: &[PathBuf]| files.iter().map(|file| Run::read(file)).collect::<anyhow::Result<Vec<_>>>();
    let report = report(&read(baseline)?, &read(candidate)?, &args.limits);
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

pub(super) fn report(baseline: &[Run], candidate: &[Run], limits: &LimitArgs) -> CompareReport {
    let limits = Limits::from(limits);
    let comparison = Comparison::of(baseline, candidate, &limits);
    let mut invalid = reasons(baseline, candidate);
    if comparison.compared.is_empty() {
        invalid.push("the runs have no figure in common".to_owned());
    }
    let result = match (invalid.is_empty(), comparison.is_regression()) {
        (false, _) => Conclusion::Invalid,
        (true, true) => Conclusion::Fail,
        (true, false) => Conclusion::Pass,
    };
    let names = |runs: &[Run]| runs.iter().map(|run| run.name.clone()).collect();
    CompareReport {
        result,
        change: comparison.change(),
        baseline: names(baseline),
        candidate: names(candidate),
        limits,
        comparison,
        invalid,
    }
}
