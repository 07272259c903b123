//! `calibrate`: a delay that is known shows what the views are worth.

use hopline::hop::Hop;

use super::views::{conclusion, setting};
use crate::{
    cli::CalibrateArgs,
    exit::Exit,
    machine::Machine,
    progress::Progress,
    report::{CalibrationReport, publish},
    views::{Calibration, Setting, take},
};

/// Those in which a message can be held.
const HOPS: [Hop; 6] = [Hop::Accept, Hop::Persist, Hop::Publish, Hop::Broadcast, Hop::Receive, Hop::Send];

pub(super) async fn execute(args: &CalibrateArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let undelayed = setting(&args.views);
    progress.say("without a delay");
    let baseline = take(&undelayed, &mut progress).await?;
    let mut invalid = baseline.invalid.clone();
    let mut calibrations = Vec::new();
    for hop in HOPS {
        progress.say(&format!("{} ms in {}", args.delay_ms, hop.as_str()));
        let delayed = Setting { delay: Some((hop, args.delay_ms)), ..undelayed.clone() };
        let views = take(&delayed, &mut progress).await?;
        invalid.extend(views.invalid.iter().map(|why| format!("{} delayed: {why}", hop.as_str())));
        calibrations.push(Calibration::of(hop, args.delay_ms, &baseline, &views));
    }
    drop(progress);
    let result = conclusion(calibrations.iter().all(Calibration::holds), &invalid);
    let report = CalibrationReport {
        result,
        delay_ms: args.delay_ms,
        workload: undelayed.workload,
        machine: Machine::describe(None),
        calibrations,
        invalid,
    };
    publish(&report, args.views.json.as_deref())?;
    Ok(result.exit())
}
