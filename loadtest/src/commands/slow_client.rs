//! `slow-client`: what do five hundred clients notice of one that doesn't read?

use std::sync::Arc;

use anyhow::Context;
use hopline::hop::Hop;
use tokio::sync::oneshot;

use super::Ground;
use crate::{
    audit::audit,
    cli::SlowClientArgs,
    exit::Exit,
    lab::{Lab, LabOptions, Server},
    latency::{Key, Latencies, Measure},
    machine::Machine,
    plan::Workload,
    preflight,
    progress::Progress,
    report::{Conclusion, SlowClientReport, publish},
    run::{self, Outcome},
    slow_client::{Compared, Harm, Pair, Place, Run, Sleeper, Stay, watch},
    validity,
};

const TOTAL: Key = Key { measure: Measure::Hop(Hop::Total), origin: None, recipient: None };

pub(super) async fn execute(args: &SlowClientArgs) -> anyhow::Result<Exit> {
    let workload = Workload::from(args);
    preflight::check(&workload.layout, usize::from(args.lab.servers))?;
    let mut progress = Progress::new();
    progress.step("starting the lab");
    let flags = [format!("--client-queue-max={}", args.queue), format!("--recovered-max={}", args.queue / 2)];
    let lab = Lab::start(LabOptions { server_args: flags.into(), ..LabOptions::from(&args.lab) }).await?;
    let ground = Ground::of(lab);
    let (mut pairs, mut discarded) = (Vec::new(), Vec::new());
    for number in 1..=args.pairs * 2 {
        if pairs.len() == args.pairs {
            break;
        }
        progress.say(&format!("pair {number}"));
        let pair = pair(number, &workload, &ground, &mut progress).await?;
        let invalid: Vec<String> = pair.invalid().map(|why| format!("pair {number}: {why}")).collect();
        if invalid.is_empty() {
            pairs.push(pair);
        } else {
            progress.say(&format!("it doesn't count: {}", invalid.join("; ")));
            discarded.extend(invalid);
        }
    }
    drop(progress);
    let report = report(args, workload, pairs, discarded, Machine::describe(ground.lab.as_deref()));
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

/// Each comes first as often as the other.
async fn pair(
    number: usize,
    workload: &Workload,
    ground: &Ground,
    progress: &mut Progress,
) -> anyhow::Result<Pair> {
    if number % 2 == 1 {
        let without = one(false, workload, ground, progress).await?;
        Ok(Pair { without, with: one(true, workload, ground, progress).await? })
    } else {
        let with = one(true, workload, ground, progress).await?;
        Ok(Pair { without: one(false, workload, ground, progress).await?, with })
    }
}

/// One run, with a slow client or with someone who only looks as often.
async fn one(
    with: bool,
    workload: &Workload,
    ground: &Ground,
    progress: &mut Progress,
) -> anyhow::Result<Run> {
    let server = ground.lab.iter().flat_map(|lab| lab.servers()).next().context("the lab has no server")?;
    let (told, channel) = oneshot::channel();
    let (ends, last) = oneshot::channel();
    let beside = tokio::spawn(beside(with, server, channel, last));
    let begun = |_, channels: &[String]| {
        let _ = told.send(channels[0].clone());
    };
    let outcome = run::run_beside(workload, &ground.target, begun, progress).await?;
    let last_seq = outcome.evidence.history[0].last().map_or(0, |message| message.seq);
    let _ = ends.send(last_seq);
    let stay = beside.await.context("the slow client's task failed")??;
    Ok(run_of(&outcome, stay))
}

/// What goes on beside the load, until the channel's last number is known.
async fn beside(
    with: bool,
    server: Arc<Server>,
    channel: oneshot::Receiver<String>,
    last: oneshot::Receiver<u64>,
) -> anyhow::Result<Option<Stay>> {
    let place = Place { public: server.public_addr(), admin: server.admin_addr(), channel: channel.await? };
    if with {
        return Sleeper::run(place, last).await.map(Some);
    }
    tokio::select! {
        _ = last => {}
        () = watch(&place) => {}
    }
    Ok(None)
}

fn run_of(outcome: &Outcome, stay: Option<Stay>) -> Run {
    let (audit, latencies) = (audit(&outcome.evidence), Latencies::of(outcome));
    let mut invalid = validity::of_run(outcome, &audit, &latencies, None);
    if !audit.is_clean() {
        invalid.push("the audit found something; `run` shows what".to_owned());
    }
    if stay.as_ref().is_some_and(|stay| stay.closed.is_empty()) {
        invalid.push("the slow client was never closed: nothing was exercised. Lower --queue".to_owned());
    }
    let p99_ms = latencies.get(TOTAL).map_or(f64::NAN, |series| series.percentile_ms(99.0));
    Run { p99_ms, stay, invalid }
}

fn report(
    args: &SlowClientArgs,
    workload: Workload,
    pairs: Vec<Pair>,
    discarded: Vec<String>,
    machine: Machine,
) -> SlowClientReport {
    let ratio_max = 1.0 + f64::from(args.rise) / 100.0;
    let compared = Compared::of(&pairs).filter(|_| pairs.len() == args.pairs);
    let mut invalid = Vec::new();
    match compared.as_ref().map(|compared| compared.harm(ratio_max)) {
        None => {
            invalid.push(format!("only {} of {} pairs were valid", pairs.len(), args.pairs));
            invalid.extend(discarded);
        }
        Some(Harm::Unclear) => {
            invalid.push(
                "the interval is too wide to say. Take more --pairs, or a machine of its own".to_owned(),
            );
        }
        Some(Harm::Small | Harm::Large) => {}
    }
    let ill = pairs.iter().filter_map(|pair| pair.with.stay.as_ref()).any(|stay| !stay.is_well());
    let harmed = compared.as_ref().is_some_and(|compared| compared.harm(ratio_max) == Harm::Large);
    let result = match (ill || harmed, invalid.is_empty()) {
        (true, _) => Conclusion::Fail,
        (false, false) => Conclusion::Invalid,
        (false, true) => Conclusion::Pass,
    };
    SlowClientReport { result, workload, machine, queue: args.queue, ratio_max, compared, pairs, invalid }
}
