//! Carries a drill out: starts a lab, loads it, breaks something, and compares everything with everything.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Drill, Figures, Sabotage, Seen, Sign, Site, Window, sign::Lookout};
use crate::{
    audit::{Audit, audit},
    clock::Clock,
    lab::{Broker, Lab, LabOptions},
    plan::Workload,
    preflight,
    progress::Progress,
    run::{self, Outcome, Survival, Target},
};

/// Servers are looked at for so long after the fault.
const AFTERMATH: Duration = Duration::from_secs(3);

/// The name of a server that is unlike the others: the last one.
const ODD: &str = "z";

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
    /// Whether there is one server only, and whatever ends it leaves none to send to.
    pub(crate) only_server: bool,
}

/// How a drill is carried out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) sabotage: bool,
    pub(crate) quick: bool,
    pub(crate) server_binary: Option<PathBuf>,
    pub(crate) keep: bool,
}

/// What is watched and what stays broken, whatever else breaks.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) signs: &'static [Sign],
    /// The servers' switches.
    pub(crate) switches: Map<String, Value>,
    pub(crate) survival: Survival,
}

/// Carries out a drill on a lab of its own.
pub(crate) async fn carry_out(
    drill: &Drill,
    manner: &Manner,
    progress: &mut Progress,
) -> anyhow::Result<Drilled> {
    let load = drill.load.over(drill.broker);
    let load = if manner.quick { load.quick() } else { load };
    let sabotage = manner.sabotage.then_some(drill.sabotage);
    let conditions = Conditions {
        signs: drill.signs,
        switches: sabotage.map(Sabotage::switches).unwrap_or_default(),
        survival: sabotage.map_or_else(Survival::default, Sabotage::survival),
    };
    let workload = load.workload();
    preflight::check(&workload.layout, usize::from(drill.broker.usual_servers()))?;
    progress.step("starting the lab");
    let lab = start_lab(Some(drill), manner).await?;
    let strike = async |site: &mut Site<'_>, _| Box::pin(drill.fault.strike(site, load.fault)).await;
    under_load(&lab, workload, conditions, strike, progress).await
}

/// Loads a lab, and has something broken once it has warmed up.
pub(crate) async fn under_load(
    lab: &Lab,
    workload: Workload,
    Conditions { signs, switches, survival }: Conditions,
    strike: impl AsyncFnOnce(&mut Site<'_>, Clock) -> anyhow::Result<()>,
    progress: &mut Progress,
) -> anyhow::Result<Drilled> {
    let target = Target::on(lab);
    let (survival, voice) = (Arc::new(survival), progress.voice());
    let breaks_after = workload.warm_up;
    let strike = async {
        let clock = survival.began().await;
        let admin = lab.servers().iter().map(|server| server.admin_addr()).collect();
        let mut site = Site::new(lab, &survival, clock, &switches, voice);
        site.switches.set_all(&Value::Null).await?;
        let mut lookout = Lookout::new(admin, signs, clock, breaks_after);
        let struck = async {
            sleep_until(Instant::from_std(clock.moment(breaks_after))).await;
            strike(&mut site, clock).await?;
            sleep(AFTERMATH).await;
            anyhow::Ok(())
        };
        tokio::select! {
            result = struck => result?,
            () = lookout.look() => {}
        }
        anyhow::Ok((lookout, site.into_parts()))
    };
    let load = Box::pin(run::run_surviving(&workload, &target, Arc::clone(&survival), progress));
    let (outcome, (lookout, (windows, missed))) = tokio::try_join!(load, strike)?;
    let begin_us = windows.first().map_or(u32::MAX, |window| window.us.start);
    let seen = lookout.seen(&outcome, begin_us);
    let figures = Figures::of(&outcome, &windows, &seen);
    let audit = audit(&outcome.evidence);
    let only_server = lab.servers().len() == 1;
    Ok(Drilled { workload, outcome, audit, windows, figures, seen, missed, only_server })
}

/// The lab of a drill, or one for whatever may happen to it.
pub(crate) async fn start_lab(drill: Option<&Drill>, manner: &Manner) -> anyhow::Result<Lab> {
    let args = drill.map_or(&[][..], |drill| drill.server_args);
    let odd_args = drill.map_or(&[][..], |drill| drill.odd_server_args);
    let is_odd = !odd_args.is_empty();
    let broker = drill.map_or(Broker::default(), |drill| drill.broker);
    let options = LabOptions {
        broker,
        servers: usize::from(broker.usual_servers()) - usize::from(is_odd),
        server_binary: manner.server_binary.clone(),
        server_args: ["--fault-switches"].iter().chain(args).map(ToString::to_string).collect(),
        database_bytes: drill.and_then(|drill| drill.database_bytes),
        keep: manner.keep,
        ..LabOptions::default()
    };
    let lab = Lab::start(options).await?;
    if is_odd {
        lab.start_server(ODD, odd_args).await?;
    }
    Ok(lab)
}
