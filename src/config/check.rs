//! From text to a configuration: every value is checked, and everything wrong is reported at once.

use std::{
    fmt::{self, Display},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use uuid::Uuid;

use super::{Client, Config, Outbox, Persist, Receive, ServeArgs};
use crate::{
    listener,
    protocol::{Limits, SenderName},
    token::Secret,
};

/// One setting that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The flag.
    pub flag: &'static str,
    /// What is wrong with it and what would be right.
    pub why: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Problem>);

impl Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration can't be used:")?;
        for Problem { flag, why } in &self.0 {
            writeln!(f, "  {flag}: {why}")?;
        }
        write!(f, "See `--help` for each flag's environment variable and default.")
    }
}

impl Config {
    /// Checks all settings; the error names every one that is wrong.
    pub fn new(args: &ServeArgs) -> Result<Self, ConfigErrors> {
        Checker::check(|check| check.config(args))
    }
}

/// Collects problems. A check returns nothing when it adds one, and the others go on.
pub(super) struct Checker(Vec<Problem>);

impl Checker {
    /// What `check` makes of the settings, unless it finds any problem.
    pub(super) fn check<T>(check: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, ConfigErrors> {
        let mut checker = Self(Vec::new());
        match check(&mut checker) {
            Some(value) if checker.0.is_empty() => Ok(value),
            _ => Err(ConfigErrors(checker.0)),
        }
    }

    /// Every check runs before the first `?`, so that no problem hides another one.
    fn config(&mut self, args: &ServeArgs) -> Option<Config> {
        let node = match &args.node {
            Some(name) => self.parse("--node", name),
            None => format!("node-{}", &Uuid::new_v4().simple().to_string()[..8]).parse::<SenderName>().ok(),
        };
        let listen = self.parse("--listen", &args.listen);
        let admin_listen = self.parse("--admin-listen", &args.admin_listen);
        let http = self.http(args);
        let tls = self.tls(args);
        let database = self.database(&args.database, &args.database_connections);
        let outbox = match args.broker.as_str() {
            "kafka" => Some(Outbox { woken: true }),
            "kafka-as-written" => Some(Outbox { woken: false }),
            _ => None,
        };
        let persist = self.persist(args, outbox.is_some());
        let broker = self.broker(args);
        let receive = self.receive(args, outbox);
        let client = self.client(args);
        let clock_shift_ms = self.clock_shift_ms(args);
        let auth = self.auth(args, listen);
        let admin_token =
            self.read_from("--admin-token-file", args.admin_token_file.as_deref(), Secret::read);
        let shutdown_timeout = self.millis("--shutdown-timeout-ms", &args.shutdown_timeout_ms, 0..=600_000);
        Some(Config {
            node: node?,
            listen: listen?,
            tls: tls?,
            admin_listen: admin_listen?,
            http: http?,
            database: database?,
            migrate: !args.no_migrate,
            persist: persist?,
            broker: broker?,
            outbox,
            receive: receive?,
            client: client?,
            auth: auth?,
            metrics: !args.no_metrics,
            fault_switches: args.fault_switches,
            clock_shift_ms: clock_shift_ms?,
            admin_token,
            shutdown_timeout: shutdown_timeout?,
        })
    }

    fn http(&mut self, args: &ServeArgs) -> Option<listener::Limits> {
        let connections_max =
            self.number("--http-connections-max", &args.http_connections_max, 1..=1_000_000);
        let request_timeout = self.millis("--request-timeout-ms", &args.request_timeout_ms, 10..=600_000);
        Some(listener::Limits { connections_max: connections_max?, request_timeout: request_timeout? })
    }

    fn persist(&mut self, args: &ServeArgs, to_outbox: bool) -> Option<Persist> {
        let writers = self.number("--persist-writers", &args.persist_writers, 1..=64);
        let batch_max = self.number("--persist-batch-max", &args.persist_batch_max, 1..=4096);
        let queue_max = self.number("--persist-queue-max", &args.persist_queue_max, 1..=1_000_000);
        let wait_max = self.millis("--persist-wait-max-ms", &args.persist_wait_max_ms, 10..=600_000);
        let timeout = self.millis("--persist-timeout-ms", &args.persist_timeout_ms, 10..=60_000);
        Some(Persist {
            writers: writers?,
            batch_max: batch_max?,
            queue_max: queue_max?,
            wait_max: wait_max?,
            timeout: timeout?,
            to_outbox,
        })
    }

    fn receive(&mut self, args: &ServeArgs, outbox: Option<Outbox>) -> Option<Receive> {
        let gap_patience = self.millis("--gap-patience-ms", &args.gap_patience_ms, 0..=60_000);
        let check_interval = self.millis("--check-interval-ms", &args.check_interval_ms, 10..=600_000);
        let check_interval_down =
            self.millis("--check-interval-down-ms", &args.check_interval_down_ms, 10..=600_000);
        Some(Receive {
            gap_patience: gap_patience?,
            relay_lag: outbox.map_or(Duration::ZERO, Outbox::lag),
            check_interval: check_interval?,
            check_interval_down: check_interval_down?,
        })
    }

    fn client(&mut self, args: &ServeArgs) -> Option<Client> {
        let limits = self.limits(args);
        let queue_max = self.number("--client-queue-max", &args.client_queue_max, 2..=1_000_000);
        let waiting = self.number("--waiting-bytes-max", &args.waiting_bytes_max, 1 << 20..=1 << 40);
        let auth_timeout = self.millis("--auth-timeout-ms", &args.auth_timeout_ms, 10..=600_000);
        let (limits, queue_max) = (limits?, queue_max?);
        if limits.recovered_max >= queue_max {
            self.add(
                "--recovered-max",
                "must be less than --client-queue-max, which has to hold what is recovered",
            );
        }
        if limits.body_bytes_max >= limits.frame_bytes_max {
            self.add("--body-bytes-max", "must be less than --frame-bytes-max, which has to hold a body");
        }
        let waiting_bytes_max = waiting?;
        Some(Client { limits, queue_max, waiting_bytes_max, auth_timeout: auth_timeout? })
    }

    fn limits(&mut self, args: &ServeArgs) -> Option<Limits> {
        let frame_bytes_max = self.number("--frame-bytes-max", &args.frame_bytes_max, 1024..=16 << 20);
        let body_bytes_max = self.number("--body-bytes-max", &args.body_bytes_max, 1..=256 << 10);
        let subscriptions_max = self.number("--subscriptions-max", &args.subscriptions_max, 1..=100_000);
        let outstanding_max = self.number("--outstanding-max", &args.outstanding_max, 1..=100_000);
        let publish_rate = self.number("--publish-rate-max", &args.publish_rate_max, 1..=1_000_000);
        let publish_burst = self.number("--publish-burst-max", &args.publish_burst_max, 1..=1_000_000);
        let per_address = &args.connections_per_address_max;
        let per_address = self.number("--connections-per-address-max", per_address, 1..=1_000_000);
        let connections_max = self.number("--connections-max", &args.connections_max, 1..=1_000_000);
        let recovered_max = self.number("--recovered-max", &args.recovered_max, 0..=10_000);
        let idle_timeout_ms = self.number("--idle-timeout-ms", &args.idle_timeout_ms, 100..=3_600_000);
        Some(Limits {
            frame_bytes_max: frame_bytes_max?,
            body_bytes_max: body_bytes_max?,
            subscriptions_max: subscriptions_max?,
            outstanding_max: outstanding_max?,
            publish_rate_per_s_max: publish_rate?,
            publish_burst_max: publish_burst?,
            connections_per_address_max: per_address?,
            connections_max: connections_max?,
            recovered_max: recovered_max?,
            idle_timeout_ms: idle_timeout_ms?,
        })
    }

    fn clock_shift_ms(&mut self, args: &ServeArgs) -> Option<i64> {
        const DAY_MS: i64 = 86_400_000;
        let shift_ms = self.number("--clock-shift-ms", &args.clock_shift_ms, -DAY_MS..=DAY_MS)?;
        if shift_ms != 0 && !args.fault_switches {
            self.add("--clock-shift-ms", "is a fault and needs --fault-switches");
        }
        Some(shift_ms)
    }

    pub(super) fn add(&mut self, flag: &'static str, why: impl Into<String>) {
        self.0.push(Problem { flag, why: why.into() });
    }

    pub(super) fn required<'a>(
        &mut self,
        flag: &'static str,
        value: Option<&'a str>,
        env: &str,
    ) -> Option<&'a str> {
        let value = value.filter(|value| !value.is_empty());
        if value.is_none() {
            self.add(flag, format!("is required; the environment variable {env} will do"));
        }
        value
    }

    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self, flag: &'static str, text: &str) -> Option<T> {
        text.parse().map_err(|error| self.add(flag, format!("{text:?}: {error}"))).ok()
    }

    /// As [`Self::parse`], but the message doesn't repeat the value.
    pub(super) fn parse_secret<T: FromStr<Err: Display>>(
        &mut self,
        flag: &'static str,
        text: &str,
    ) -> Option<T> {
        text.parse().map_err(|error| self.add(flag, format!("{error}"))).ok()
    }

    pub(super) fn number<T>(&mut self, flag: &'static str, text: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.add(flag, format!("{text:?}: a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    pub(super) fn millis(
        &mut self,
        flag: &'static str,
        text: &str,
        range: RangeInclusive<u64>,
    ) -> Option<Duration> {
        self.number(flag, text, range).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parsed;

    fn config(flags: &[&str]) -> Result<Config, ConfigErrors> {
        parsed(flags.iter().copied())
    }

    #[test]
    fn the_defaults_are_a_valid_configuration_on_loopback() {
        let config = config(&[]).unwrap();
        assert!(config.listen.ip().is_loopback() && config.admin_listen.ip().is_loopback());
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let flags =
            ["--node=a b", "--listen=here", "--persist-writers=0", "--body-bytes-max=x", "--redis-topic="];
        let ConfigErrors(problems) = config(&flags).unwrap_err();
        let flags: Vec<_> = problems.iter().map(|problem| problem.flag).collect();
        assert_eq!(flags, ["--node", "--listen", "--persist-writers", "--redis-topic", "--body-bytes-max"]);
    }

    #[test]
    fn secrets_are_shown_neither_by_debug_nor_by_errors() {
        assert!(!format!("{:?}", config(&[]).unwrap()).contains("secret"));
        let broken = ["--database-url=postgres://u:secret@h:port/d", "--redis-url=nonsense://:secret@h/"];
        let errors = config(&broken).unwrap_err();
        assert_eq!(errors.0.len(), 2);
        assert!(!errors.to_string().contains("secret"), "{errors}");
    }

    #[test]
    fn limits_that_contradict_one_another_are_refused() {
        let errors = config(&["--recovered-max=5000", "--body-bytes-max=40000"]).unwrap_err();
        assert_eq!(errors.0.len(), 2);
    }
}
