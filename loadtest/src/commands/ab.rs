//! `ab`: two builds of the server, in turn, and what changed.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::future::try_join_all;

use super::{Ground, run::measure, start_lab, telemetry::Telling};
use crate::{
    archive::Run,
    cli::LabArgs,
    compare::AbArgs,
    exit::{Exit, Misuse},
    lab::Lab,
    plan::{Layout, Workload},
    progress::Progress,
    report::{Conclusion, publish},
};

const WARM_UP: Duration = Duration::from_secs(1);
/// What was, and what is.
const SIDES: [&str; 2] = ["baseline", "candidate"];

/// A subscriber or so for each channel and server: what is compared are hops, and a large fan-out would hide them.
fn layout() -> Layout {
    Layout { channels: 10, publishers: 10, subscribers: 30, ..Layout::default() }
}

pub(super) async fn execute(args: &AbArgs) -> anyhow::Result<Exit> {
    // There is one outbox in a database: a relay of one build would publish for both.
    if args.lab.broker.is_kafka() {
        let why =
            "two builds can't be compared over Kafka: they would share one outbox; name another --broker";
        return Err(Misuse(why.to_owned()).into());
    }
    let mut progress = Progress::new();
    let workload = Workload {
        rate_per_s: args.rate,
        warm_up: WARM_UP,
        duration: Duration::from_secs(args.duration),
        layout: layout(),
        ..Workload::default()
    };
    let (mut pairs, mut discarded) = (Vec::new(), Vec::new());
    for number in 1..=args.labs * 2 {
        if pairs.len() == usize::from(args.labs) {
            break;
        }
        let pair = on_one_lab(number, &workload, args, &mut progress).await?;
        let invalid: Vec<String> = pair
            .iter()
            .flat_map(|run| run.invalid.iter().map(|why| format!("{}: {why}", run.name)))
            .collect();
        for why in &invalid {
            progress.say(&format!("the lab doesn't count: {why}"));
        }
        if invalid.is_empty() {
            pairs.push(pair);
        }
        discarded.extend(invalid);
    }
    drop(progress);
    let (baseline, candidate): (Vec<Run>, Vec<Run>) = pairs.into_iter().map(<(Run, Run)>::from).unzip();
    let mut report = super::compare::report(&baseline, &candidate, &args.limits);
    if baseline.len() < usize::from(args.labs) {
        let count = format!("only {} of {} labs were valid", baseline.len(), args.labs);
        report.invalid.extend([vec![count], discarded].concat());
        report.result = Conclusion::Invalid;
    }
    publish(&report, args.json.as_deref())?;
    Ok(report.result.exit())
}

/// Both builds on one PostgreSQL and one broker, for labs differ from one another by more than builds do. The builds' servers
/// stay, idle while it is the others' turn. The build that comes first changes with each turn.
async fn on_one_lab(
    number: u16,
    workload: &Workload,
    args: &AbArgs,
    progress: &mut Progress,
) -> anyhow::Result<[Run; 2]> {
    let lab = Arc::new(start_lab(&LabArgs { servers: 0, ..args.lab.clone() }, None, progress).await?);
    let grounds = [
        start_build(&lab, SIDES[0], &args.baseline, args.lab.servers).await?,
        start_build(&lab, SIDES[1], &args.candidate, args.lab.servers).await?,
    ];
    let mut runs = [Vec::new(), Vec::new()];
    for turn in 1..=args.turns {
        let first = usize::from((number + turn) % 2);
        for side in [first, 1 - first] {
            let name = format!("{}-{number}-{turn}", SIDES[side]);
            runs[side].push(one_turn(&name, &grounds[side], workload, args, progress).await?);
        }
    }
    let merged = |side: usize| Run::merged(&format!("{}-{number}", SIDES[side]), &runs[side]);
    Ok([merged(0).context("there are no turns")?, merged(1).context("there are no turns")?])
}

/// A build's servers, on a topic of their own.
async fn start_build(lab: &Arc<Lab>, side: &str, binary: &Path, servers: u16) -> anyhow::Result<Ground> {
    let topic = format!("--redis-topic={}-{side}", lab.redis_topic());
    let start = async |number: u16| {
        lab.start_build(binary.to_owned(), &format!("{side}-{number}"), &[topic.as_str()]).await
    };
    let servers = try_join_all((1..=servers).map(start)).await?;
    Ok(Ground::part(Arc::clone(lab), &servers))
}

async fn one_turn(
    name: &str,
    ground: &Ground,
    workload: &Workload,
    args: &AbArgs,
    progress: &mut Progress,
) -> anyhow::Result<Run> {
    progress.say(name);
    let loaded = measure(workload, ground, &Telling::nothing(), progress).await?;
    let result = Conclusion::of(&loaded.measured.invalid, &loaded.measured.audit, &[]);
    let report = loaded.report(workload.clone(), result);
    let text = serde_json::to_string_pretty(&report)?;
    if let Some(folder) = &args.runs {
        let file = folder.join(format!("{name}.json"));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, &text));
        written.with_context(|| format!("can't write {}", file.display()))?;
    }
    Run::parse(name, &text)
}
