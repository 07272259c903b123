//! `ab`: two builds of the server, in turn, and what changed.

use std::{fs, path::Path, time::Duration};

use anyhow::Context;

use super::{Ground, run::measure, telemetry::Telling};
use crate::{
    archive::Run,
    cli::LabArgs,
    compare::AbArgs,
    exit::Exit,
    plan::Workload,
    progress::Progress,
    report::{Conclusion, RunReport, publish},
};

const WARM_UP: Duration = Duration::from_secs(2);

pub(super) async fn execute(args: &AbArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let workload = Workload {
        rate_per_s: args.rate,
        warm_up: WARM_UP,
        duration: Duration::from_secs(args.duration),
        ..Workload::default()
    };
    let sides = [("baseline", &args.baseline), ("candidate", &args.candidate)];
    let mut runs = [Vec::new(), Vec::new()];
    for pair in 0..args.pairs {
        // Each comes first as often as the other: whatever comes first finds a cooler machine.
        for turn in 0..2 {
            let side = usize::from((pair + turn) % 2);
            let (name, binary) = sides[side];
            let name = format!("{name}-{}", pair + 1);
            progress.say(&format!("{name} of {}", args.pairs));
            runs[side].push(one(&name, binary, &workload, args, &mut progress).await?);
        }
    }
    drop(progress);
    let [baseline, candidate] = &runs;
    let report = super::compare::report(baseline, candidate, &args.limits);
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

/// A run on a lab of its own.
async fn one(
    name: &str,
    binary: &Path,
    workload: &Workload,
    args: &AbArgs,
    progress: &mut Progress,
) -> anyhow::Result<Run> {
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
