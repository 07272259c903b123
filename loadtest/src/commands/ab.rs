//! `ab`: two builds of the server, in turn, and what changed.

use std::{fs, path::Path, time::Duration};

use anyhow::Context;

use super::{Ground, run::measure, telemetry::Telling};
use crate::{
    archive::Run,
    cli::LabArgs,
    compare::AbArgs,
    exit::Exit,
    plan::{Layout, Workload},
    progress::Progress,
    report::{Conclusion, RunReport, publish},
};

const WARM_UP: Duration = Duration::from_secs(2);
/// A subscriber or so for each channel and server: what is compared are hops, and a large fan-out would hide them.
const LAYOUT: Layout = Layout { channels: 10, publishers: 10, subscribers: 30, body_bytes: 200, seed: 1 };

pub(super) async fn execute(args: &AbArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let workload = Workload {
        rate_per_s: args.rate,
        warm_up: WARM_UP,
        duration: Duration::from_secs(args.duration),
        layout: LAYOUT,
    };
    let (mut pairs, mut discarded) = (Vec::new(), Vec::new());
    for number in 1..=args.pairs * 2 {
        if pairs.len() == usize::from(args.pairs) {
            break;
        }
        let pair = pair(number, &workload, args, &mut progress).await?;
        let invalid =
            pair.iter().flat_map(|run| run.invalid.iter().map(|why| format!("{}: {why}", run.name)));
        let invalid: Vec<String> = invalid.collect();
        for why in &invalid {
            progress.say(&format!("the pair doesn't count: {why}"));
        }
        if invalid.is_empty() {
            pairs.push(pair);
        }
        discarded.extend(invalid);
    }
    drop(progress);
    let (baseline, candidate): (Vec<Run>, Vec<Run>) = pairs.into_iter().map(<(Run, Run)>::from).unzip();
    let mut report = super::compare::report(&baseline, &candidate, &args.limits);
    if baseline.len() < usize::from(args.pairs) {
        let count = format!("only {} of {} pairs were valid", baseline.len(), args.pairs);
        report.invalid.extend([vec![count], discarded].concat());
        report.result = Conclusion::Invalid;
    }
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

/// A run of each build, the baseline's first in what is returned. Each comes first as often as the other: whatever comes
/// first finds a cooler machine.
async fn pair(
    number: u16,
    workload: &Workload,
    args: &AbArgs,
    progress: &mut Progress,
) -> anyhow::Result<[Run; 2]> {
    let baseline = async |progress: &mut Progress| {
        one(&format!("baseline-{number}"), &args.baseline, workload, args, progress).await
    };
    let candidate = async |progress: &mut Progress| {
        one(&format!("candidate-{number}"), &args.candidate, workload, args, progress).await
    };
    if number % 2 == 1 {
        let first = baseline(progress).await?;
        Ok([first, candidate(progress).await?])
    } else {
        let first = candidate(progress).await?;
        Ok([baseline(progress).await?, first])
    }
}

/// A run on a lab of its own.
async fn one(
    name: &str,
    binary: &Path,
    workload: &Workload,
    args: &AbArgs,
    progress: &mut Progress,
) -> anyhow::Result<Run> {
    progress.say(name);
    let lab = LabArgs { server_binary: Some(binary.to_owned()), ..args.lab.clone() };
    let ground = Ground::on_lab(&lab, None, progress).await?;
    let (measured, _) = measure(workload, &ground, &Telling::nothing(), progress).await?;
    let result = Conclusion::of(&measured.invalid, &measured.audit, &[]);
    let report =
        RunReport { result, workload: workload.clone(), measured, decision: None, claims: Vec::new() };
    let text = serde_json::to_string_pretty(&report)?;
    if let Some(folder) = &args.runs {
        let file = folder.join(format!("{name}.json"));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, &text));
        written.with_context(|| format!("can't write {}", file.display()))?;
    }
    Run::parse(name, &text)
}
