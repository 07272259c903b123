//! `hopline replay`: prints what servers published to Kafka.

use std::{
    error::Error,
    io::{self, BufWriter, Write},
};

use clap::{ArgGroup, Args};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    broker::{self, Replayed, Start},
    config::{KafkaArgs, KafkaTopic},
    protocol::{ChannelName, Message, OriginStamps, SenderName},
};

/// Flags of `hopline replay`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("start").required(true))]
pub struct ReplayArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Begin with this offset of each partition, or the first one that it still has
    #[arg(long, value_name = "N", group = "start", value_parser = clap::value_parser!(i64).range(0..))]
    from_offset: Option<i64>,
    /// Begin with what was published at this time: RFC 3339, or milliseconds of Unix time
    #[arg(long, value_name = "TIME", group = "start", value_parser = time_ms)]
    from_time: Option<i64>,
    /// Only this channel's messages
    #[arg(long, value_name = "NAME")]
    channel: Option<ChannelName>,
}

/// A line of the output.
#[derive(Serialize)]
struct Line<'a> {
    partition: i32,
    offset: i64,
    node: &'a SenderName,
    stamps: OriginStamps,
    message: &'a Message,
}

/// Prints the messages from the start that the flags name up to where the topic ends now. What is no envelope is named on
/// standard error.
pub fn replay(args: &ReplayArgs) -> Result<(), Box<dyn Error + Send + Sync>> {
    let topic = KafkaTopic::new(&args.kafka)?;
    let start = match (args.from_offset, args.from_time) {
        (Some(offset), _) => Start::Offset(offset),
        (None, ms) => Start::TimeMs(ms.unwrap_or_default()),
    };
    let mut output = BufWriter::new(io::stdout().lock());
    let printed = broker::replay(&topic, start, |replayed| print(&mut output, args, &replayed));
    match printed.and_then(|()| Ok(output.flush()?)) {
        // Whoever reads has had enough, as `head` does.
        Err(broker::ReplayError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

fn print(output: &mut impl Write, args: &ReplayArgs, replayed: &Replayed) -> io::Result<()> {
    let Replayed { partition, offset, envelope } = replayed;
    let (partition, offset) = (*partition, *offset);
    let envelope = match envelope {
        Ok(envelope) => envelope,
        Err(error) => {
            eprintln!("hopline: offset {offset} of partition {partition}: {error}");
            return Ok(());
        }
    };
    let (node, stamps, message) = (&envelope.node, envelope.stamps, &envelope.message);
    if args.channel.as_ref().is_none_or(|channel| *channel == message.channel) {
        serde_json::to_writer(&mut *output, &Line { partition, offset, node, stamps, message })?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

fn time_ms(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Some(ms).filter(|ms| *ms >= 0).ok_or_else(|| "is before 1970".to_owned());
    }
    let time = OffsetDateTime::parse(text, &Rfc3339);
    let time = time.map_err(|_| "as 2026-08-01T12:00:00Z, or milliseconds of Unix time")?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::time_ms;

    #[test]
    fn a_time_is_rfc_3339_or_milliseconds() {
        assert_eq!(time_ms("1785585600000"), Ok(1_785_585_600_000));
        assert_eq!(time_ms("2026-08-01T12:00:00Z"), Ok(1_785_585_600_000));
        assert_eq!(time_ms("2026-08-01T14:00:00.250+02:00"), Ok(1_785_585_600_250));
        for wrong in ["", "-1", "yesterday", "2026-08-01", "2026-13-01T12:00:00Z"] {
            assert!(time_ms(wrong).is_err(), "{wrong}");
        }
    }
}
