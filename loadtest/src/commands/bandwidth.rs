//! `bandwidth`: what do topics for each channel, and for partitions, save?

use std::time::Duration;

use hopline::protocol::ChannelName;

use crate::{
    bandwidth::{BandwidthArgs, Effort, Measured, Point, Saving, expected_saving, measure},
    exit::{Exit, Misuse},
    lab::Broker,
    machine::Machine,
    plan::Layout,
    progress::Progress,
    report::{BandwidthReport, Conclusion, publish, write_bandwidth},
};

pub(super) async fn execute(args: &BandwidthArgs) -> anyhow::Result<Exit> {
    if args.servers.iter().all(|servers| args.subscribers_of(*servers).is_empty()) {
        let why = "none of --subscribers is as few as --servers, so there is nothing to measure";
        return Err(Misuse(why.to_owned()).into());
    }
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
        let subscribers = args.subscribers_of(servers);
        if subscribers.is_empty() {
            continue;
        }
        let servers = usize::from(servers);
        let mut measured = Vec::new();
        for broker in [Broker::Redis, Broker::RedisChannels, Broker::RedisSharded] {
            let (of_broker, why) = measure(broker, servers, &subscribers, &effort, &mut progress).await?;
            measured.push(of_broker);
            invalid.extend(why);
        }
        points.extend(subscribers.iter().enumerate().map(|(index, &subscribers)| {
            let measured = [0, 1, 2].map(|broker: usize| &measured[broker][index]);
            point(servers, subscribers, measured, &effort.workload(servers, subscribers).layout)
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
    write_bandwidth(&report, args.html.as_deref())?;
    Ok(result.exit())
}

/// What was measured with one topic, with a topic each, and with partitions.
fn point(servers: usize, subscribers: usize, measured: [&Measured; 3], layout: &Layout) -> Point {
    let [one, each, partitions] = measured;
    let saving = |measured: &Measured, topics: Vec<usize>| {
        Saving::new(measured.bytes, one.bytes, expected_saving(layout, servers, &topics))
    };
    Point {
        servers,
        subscribers,
        one_topic_bytes: one.bytes,
        each_channel: saving(each, (0..each.channels.len()).collect()),
        partitions: saving(partitions, partitions.channels.iter().map(|name| partition(name)).collect()),
    }
}

/// The partition of a channel, of as many as servers have unless they are told otherwise.
fn partition(channel: &str) -> usize {
    const PARTITIONS: u16 = 128;
    let channel: ChannelName = channel.parse().expect("the servers have taken the name");
    usize::from(channel.partition(PARTITIONS))
}
