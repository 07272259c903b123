//! `views`: one run, seen three times.

use crate::{
    cli::ViewsArgs,
    exit::Exit,
    lab::LabOptions,
    machine::Machine,
    plan::Workload,
    progress::Progress,
    report::{Conclusion, ViewsReport, publish},
    views::{Agreement, Setting, rows, take},
};

pub(super) async fn execute(args: &ViewsArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let setting = setting(args);
    let views = take(&setting, &mut progress).await?;
    drop(progress);
    let rows = rows(&views);
    let agree = rows.iter().all(|row| row.agreement == Agreement::Agree);
    let result = conclusion(agree, &views.invalid);
    let report = ViewsReport {
        result,
        workload: setting.workload,
        machine: Machine::describe(None),
        rows,
        invalid: views.invalid,
    };
    publish(&report, args.json.as_deref())?;
    Ok(result.exit())
}

/// Without a delay.
pub(super) fn setting(args: &ViewsArgs) -> Setting {
    Setting { workload: Workload::from(args), lab: LabOptions::from(&args.lab), delay: None }
}

/// What differs stands even if the run is invalid otherwise: counting does not depend on how busy a machine is.
pub(super) fn conclusion(holds: bool, invalid: &[String]) -> Conclusion {
    match (holds, invalid) {
        (false, _) => Conclusion::Fail,
        (true, []) => Conclusion::Pass,
        (true, _) => Conclusion::Invalid,
    }
}
