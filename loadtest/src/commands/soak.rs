//! `soak`: load for a long time, while something breaks each minute.

use crate::{
    drill::Manner,
    exit::Exit,
    machine::Machine,
    progress::Progress,
    report::{DrillReport, DrillsReport, publish, write_drills},
    soak::{SoakArgs, soak},
};

pub(super) async fn execute(args: &SoakArgs) -> anyhow::Result<Exit> {
    let seed = args.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let manner = Manner { server_binary: args.server_binary.clone(), keep: args.keep, ..Manner::default() };
    let mut progress = Progress::new();
    progress.say(&format!("seed: {seed}"));
    let soaked = soak(args, seed, &manner, &mut progress).await?;
    drop(progress);
    let report =
        DrillsReport::of(vec![DrillReport::of_soak(soaked, seed)], Vec::new(), Machine::describe(None));
    publish(&report, args.json.as_deref())?;
    write_drills(&report, args.html.as_deref())?;
    Ok(report.result.exit())
}
