//! How to reach Kafka, and which topic there is.

use std::time::Duration;

use super::{Broker, ConfigErrors, Kafka, KafkaArgs, KafkaTopic, ServeArgs, check::Checker};

impl KafkaTopic {
    /// Checks how `hopline replay` is to reach Kafka; the error names every setting that is wrong.
    pub fn new(args: &KafkaArgs) -> Result<Self, ConfigErrors> {
        Checker::check(|check| check.kafka(args))
    }
}

impl Checker {
    /// Kafka, and how long a publish waits for others to go with it. PostgreSQL ends the session of a relay that asks nothing
    /// for 15 s, as while it publishes.
    pub(super) fn kafka_broker(&mut self, args: &ServeArgs, linger: Option<Duration>) -> Option<Broker> {
        let topic = self.kafka(&args.kafka);
        let heartbeat = self.millis("--broker-heartbeat-ms", &args.broker_heartbeat_ms, 10..=60_000);
        let publish_timeout = self.millis("--publish-timeout-ms", &args.publish_timeout_ms, 10..=10_000);
        let (topic, heartbeat, publish_timeout) = (topic?, heartbeat?, publish_timeout?);
        Some(Broker::Kafka(Box::new(Kafka { topic, linger, heartbeat, publish_timeout })))
    }

    fn kafka(&mut self, args: &KafkaArgs) -> Option<KafkaTopic> {
        const TOPIC_MAX_BYTES: usize = 249;
        let brokers = self.required("--kafka-brokers", args.brokers.as_deref(), "KAFKA_BROKERS");
        let wrong = brokers.and_then(|brokers| brokers.split(',').find(|each| !is_host_and_port(each)));
        if let Some(wrong) = wrong {
            self.add("--kafka-brokers", format!("{wrong:?}: HOST:PORT, and more of them after commas"));
        }
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let name = Some(&args.topic).filter(|name| {
            (1..=TOPIC_MAX_BYTES).contains(&name.len())
                && name.bytes().all(is_legal)
                && !matches!(name.as_str(), "." | "..")
        });
        if name.is_none() {
            let legal = format!("1 to {TOPIC_MAX_BYTES} letters, digits, dots, underscores and hyphens");
            self.add("--kafka-topic", format!("{:?}: {legal}", args.topic));
        }
        let brokers = brokers.filter(|_| wrong.is_none());
        Some(KafkaTopic { brokers: brokers?.to_owned(), name: name?.clone() })
    }
}

/// An address as librdkafka takes it: with a scheme it would be another thing.
fn is_host_and_port(address: &str) -> bool {
    let host_and_port = address.rsplit_once(':');
    host_and_port.is_some_and(|(host, port)| {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        !host.is_empty() && host.bytes().all(is_host) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parsed;

    const BROKERS: &str = "--kafka-brokers=a.example:9092,[::1]:9093";

    /// The problems' flags.
    fn problems(flags: &[&str]) -> Vec<&'static str> {
        let problems = parsed(flags.iter().copied()).err().map_or_else(Vec::new, |ConfigErrors(all)| all);
        problems.iter().map(|problem| problem.flag).collect()
    }

    #[test]
    fn everything_wrong_with_kafka_is_named_at_once() {
        let long = format!("--kafka-topic={}", "x".repeat(250));
        let cases: [(&[&str], &[&str]); 9] = [
            (&[BROKERS], &[]),
            (&[BROKERS, "--kafka-topic=a.b_C-1"], &[]),
            (&[], &["--kafka-brokers"]),
            (&["--kafka-brokers=here"], &["--kafka-brokers"]),
            (&["--kafka-brokers=a:9092,,b:9092"], &["--kafka-brokers"]),
            (&["--kafka-brokers=SSL://a:9092"], &["--kafka-brokers"]),
            (&[BROKERS, "--publish-timeout-ms=10001"], &["--publish-timeout-ms"]),
            (&["--kafka-brokers=a:0", &long], &["--kafka-brokers", "--kafka-topic"]),
            (
                &[BROKERS, "--kafka-topic=..", "--broker-heartbeat-ms=1", "--publish-timeout-ms=1"],
                &["--kafka-topic", "--broker-heartbeat-ms", "--publish-timeout-ms"],
            ),
        ];
        for broker in ["--broker=kafka", "--broker=kafka-as-written"] {
            for (flags, wrong) in cases {
                assert_eq!(problems(&[&[broker], flags].concat()), wrong, "{flags:?}");
            }
        }
        assert_eq!(problems(&["--broker=rabbit"]), ["--broker"]);
    }

    #[test]
    fn as_written_nothing_wakes_the_relay_and_its_turn_is_waited_for() {
        let outbox = |broker| {
            let config = parsed([broker, BROKERS]).unwrap();
            assert_eq!(config.outbox.is_some(), config.persist.to_outbox);
            let Broker::Kafka(kafka) = config.broker else { return None };
            Some((config.outbox.unwrap().woken, kafka.linger, config.receive.relay_lag))
        };
        assert_eq!(outbox("--broker=kafka"), Some((true, Some(Duration::ZERO), Duration::ZERO)));
        assert_eq!(outbox("--broker=kafka-as-written"), Some((false, None, Duration::from_secs(2))));
        assert_eq!(outbox("--broker=redis"), None);
    }
}
