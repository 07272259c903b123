//! `bandwidth`: what does a topic for each channel save?

use std::time::Duration;

use crate::{
    bandwidth::{BandwidthArgs, Effort, Point, expected_saving, measure},
    exit::Exit,
    lab::Broker,
    machine::Machine,
    progress::Progress,
    report::{BandwidthReport, Conclusion, publish},
};

pub(super) async fn execute(args: &BandwidthArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let effort = Effort {
        rate_per_s: args.rate,
        duration: Duration::from_secs(args.duration),
        channels: usize::from(args.channels),
        body_bytes: args.body_bytes,
        server_binary: args.server_binary.clone(),
    };
    let (mut points, mut invalid) = (Vec::new(), Vec::new());
    for &servers in &args.servers {
        let servers = usize::from(servers);
        // More subscribers than servers are on all of them, too.
        let subscribers: Vec<usize> = args
            .subscribers
            .iter()
            .map(|&count| usize::from(count))
            .filter(|count| *count <= servers)
            .collect();
        let (one, why) = measure(Broker::Redis, servers, &subscribers, &effort, &mut progress).await?;
        invalid.extend(why);
        let (each, why) =
            measure(Broker::RedisChannels, servers, &subscribers, &effort, &mut progress).await?;
        invalid.extend(why);
        points.extend(subscribers.iter().zip(one.iter().zip(&each)).map(|(&subscribers, (one, each))| {
            Point {
                servers,
                subscribers,
                one_topic_bytes: *one,
                each_channel_bytes: *each,
                expected: expected_saving(&effort.workload(servers, subscribers).layout, servers),
            }
        }));
    }
    drop(progress);
    let result = match points.iter().all(Point::is_as_expected) {
        _ if !invalid.is_empty() => Conclusion::Invalid,
        true => Conclusion::Pass,
        false => Conclusion::Fail,
    };
    let report = BandwidthReport {
        result,
        rate_per_s: effort.rate_per_s,
        channels: effort.channels,
        body_bytes: effort.body_bytes,
        machine: Machine::describe(None),
        points,
        invalid,
    };
    publish(&report, args.json.as_deref())?;
    Ok(result.exit())
}
