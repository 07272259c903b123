//! Carries a drill out: starts a lab, loads it, breaks something, and compares everything with everything.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{Drill, Figures, QUIET_BEFORE, SERVERS, Seen, Site, Window, sign::Lookout};
use crate::{
    audit::{Audit, audit},
    cpu::Watched,
    lab::{Lab, LabOptions},
    plan::Workload,
    preflight,
    progress::Progress,
    run::{self, Outcome, Survival, Target},
};

/// Servers are looked at for so long after the fault.
const AFTERMATH: Duration = Duration::from_secs(3);

/// What a drill brings home.
#[derive(Debug)]
pub(crate) struct Drilled {
    pub(crate) workload: Workload,
    pub(crate) outcome: Outcome,
    pub(crate) audit: Audit,
    pub(crate) windows: Vec<Window>,
    pub(crate) figures: Figures,
    pub(crate) seen: Vec<Seen>,
    /// What the fault was to do, and didn't.
    pub(crate) missed: Vec<String>,
}

/// How a drill is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) sabotage: bool,
    pub(crate) quick: bool,
    pub(crate) server_binary: Option<PathBuf>,
    pub(crate) keep: bool,
}

/// Carries out a drill on a lab of its own.
pub(crate) async fn carry_out(
    drill: &Drill,
    manner: &Manner,
    progress: &mut Progress,
) -> anyhow::Result<Drilled> {
    let load = if manner.quick { drill.load.quick() } else { drill.load };
    let workload = load.workload();
    preflight::check(&workload.layout, SERVERS)?;
    progress.step("starting the lab");
    let lab = Lab::start(options(drill, manner)).await?;
    let sabotage = manner.sabotage.then_some(drill.sabotage);
    let switches = sabotage.map(|sabotage| sabotage.switches()).unwrap_or_default();
    let survival = Arc::new(sabotage.map_or_else(Survival::default, |sabotage| sabotage.survival()));
    let target = Target { servers: lab.addrs(), watched: Watched::on(&lab) };
    let voice = progress.voice();
    let strike = async {
        let clock = survival.began().await;
        let admin = lab.servers().iter().map(|server| server.admin_addr()).collect();
        let mut site = Site::new(&lab, &survival, clock, &switches, voice);
        site.switches.set_all(&serde_json::Value::Null).await?;
        let mut lookout = Lookout::new(admin, drill.signs, clock, QUIET_BEFORE);
        let struck = async {
            sleep_until(Instant::from_std(clock.moment(QUIET_BEFORE))).await;
            drill.fault.strike(&mut site, load.fault).await?;
            sleep(AFTERMATH).await;
            anyhow::Ok(())
        };
        tokio::select! {
            result = struck => result?,
            () = lookout.look() => {}
        }
        anyhow::Ok((lookout, site.into_parts()))
    };
    let load = run::run_surviving(&workload, &target, Arc::clone(&survival), progress);
    let (outcome, (lookout, (windows, missed))) = tokio::try_join!(load, strike)?;
    let begin_us = windows.first().map_or(u32::MAX, |window| window.us.start);
    let seen = lookout.seen(&outcome, begin_us);
    let figures = Figures::of(&outcome, &windows, &seen);
    let audit = audit(&outcome.evidence);
    Ok(Drilled { workload, outcome, audit, windows, figures, seen, missed })
}

fn options(drill: &Drill, manner: &Manner) -> LabOptions {
    LabOptions {
        servers: SERVERS,
        server_binary: manner.server_binary.clone(),
        server_args: ["--fault-switches"].iter().chain(drill.server_args).map(ToString::to_string).collect(),
        keep: manner.keep,
        ..LabOptions::default()
    }
}
