//! `drill`: break something on purpose, and see that nothing is lost.

use std::io::{self, Write};

use crate::{
    drill::{DrillArgs, Manner, carry_out, drills},
    exit::Exit,
    machine::Machine,
    progress::Progress,
    report::{DrillReport, DrillsReport, NotRun, publish, write_drills},
};

pub(super) async fn execute(args: &DrillArgs) -> anyhow::Result<Exit> {
    if args.list {
        writeln!(io::stdout(), "{}", drills())?;
        return Ok(Exit::Pass);
    }
    let manner = Manner {
        sabotage: args.sabotage,
        quick: args.quick,
        server_binary: args.server_binary.clone(),
        keep: args.keep,
    };
    let mut progress = Progress::new();
    let (mut reports, mut not_run) = (Vec::new(), Vec::new());
    for drill in args.drills() {
        if let Some(why) = drill.impossible() {
            progress.say(&format!("{}: not run: {why}", drill.name));
            not_run.push(NotRun { name: drill.name, why, is_wrong: false });
            continue;
        }
        progress.say(&format!("{}: {}", drill.name, drill.breaks));
        let drilled = match carry_out(drill, &manner, &mut progress).await {
            Ok(drilled) => drilled,
            // What the others have shown is not to be lost.
            Err(error) if args.is_all() => {
                progress.say(&format!("{}: {error:#}", drill.name));
                not_run.push(NotRun { name: drill.name, why: format!("{error:#}"), is_wrong: true });
                continue;
            }
            Err(error) => return Err(error),
        };
        let report = DrillReport::of(drill, &manner, drilled);
        progress.say(&format!("{}: {}", drill.name, report.result.as_str()));
        reports.push(report);
    }
    drop(progress);
    let report = DrillsReport::of(reports, not_run, Machine::describe(None));
    publish(&report, args.json.as_deref())?;
    write_drills(&report, args.html.as_deref())?;
    Ok(report.result.exit())
}
