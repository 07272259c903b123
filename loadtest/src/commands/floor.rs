//! `floor`: what can this machine do at best?

use super::start_lab;
use crate::{
    cli::LabArgs,
    exit::Exit,
    floor::{Effort, Floor, FloorArgs},
    machine::Machine,
    progress::Progress,
    report::{FloorReport, publish},
};

pub(super) async fn execute(args: &FloorArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    // No servers: they would share the processors.
    let lab = start_lab(&LabArgs { servers: 0, ..args.lab.clone() }, None, &mut progress).await?;
    let effort = Effort {
        operations: args.operations,
        recipients: usize::from(args.recipients),
        body_bytes: args.body_bytes,
    };
    let floor = Floor::measure(&lab, effort, &mut progress).await?;
    drop(progress);
    let report = FloorReport { machine: Machine::describe(Some(&lab)), floor };
    publish(&report, args.json.as_deref())?;
    Ok(Exit::Pass)
}
