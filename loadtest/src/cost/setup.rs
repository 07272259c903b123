//! What is compared.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;
use serde::Serialize;

use crate::traces::Receiver;

/// How much telemetry there is, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Setup {
    /// No metrics, no traces.
    Off,
    /// Metrics, no traces.
    Metrics,
    /// Metrics, and traces of one message in a hundred.
    OnePercent,
    /// Metrics, and traces of all messages.
    All,
    /// The same, but no one listens where the spans should go.
    Refused,
    /// The same, but whoever listens never says a word.
    Silent,
    /// The same, but the collector takes connections and freezes.
    Frozen,
}

/// Where a setup's spans go. What it holds stays open for as long as it lives.
pub(crate) enum Collector {
    None,
    Working(Receiver),
    Refused(String),
    Silent(String, #[expect(dead_code, reason = "held open")] TcpListener),
}

impl Setup {
    pub(crate) const ALL: [Self; 7] =
        [Self::Off, Self::Metrics, Self::OnePercent, Self::All, Self::Refused, Self::Silent, Self::Frozen];

    /// How reports spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Metrics => "metrics only",
            Self::OnePercent => "1 % traced",
            Self::All => "100 % traced",
            Self::Refused => "100 %, collector refuses",
            Self::Silent => "100 %, collector silent",
            Self::Frozen => "100 %, collector frozen",
        }
    }

    /// The share of messages that are traced.
    pub(crate) const fn sampled_share(self) -> f64 {
        match self {
            Self::Off | Self::Metrics => 0.0,
            Self::OnePercent => 0.01,
            Self::All | Self::Refused | Self::Silent | Self::Frozen => 1.0,
        }
    }

    /// What its processor time may be, in relation to none of it.
    pub(crate) const fn limit(self) -> Option<f64> {
        match self {
            Self::OnePercent => Some(1.05),
            Self::All => Some(1.40),
            _ => None,
        }
    }

    /// What the median of `total` may be, in relation to a collector that works: clients must not notice whether it does.
    pub(crate) const fn p50_limit(self) -> Option<f64> {
        match self {
            Self::Refused | Self::Silent | Self::Frozen => Some(1.05),
            _ => None,
        }
    }

    pub(crate) fn server_args(self) -> Vec<String> {
        if self == Self::Off { vec!["--no-metrics".into()] } else { Vec::new() }
    }

    /// Opens, or does not open, what the spans go to.
    pub(crate) fn collector(self) -> anyhow::Result<Collector> {
        let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("can't listen on loopback");
        let endpoint =
            |listener: &TcpListener| Ok::<_, std::io::Error>(format!("http://{}", listener.local_addr()?));
        Ok(match self {
            Self::Off | Self::Metrics => Collector::None,
            Self::OnePercent | Self::All | Self::Frozen => Collector::Working(Receiver::start()?),
            Self::Refused => Collector::Refused(endpoint(&listener()?)?),
            Self::Silent => {
                let listener = listener()?;
                Collector::Silent(endpoint(&listener)?, listener)
            }
        })
    }
}

impl Collector {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to be.
    pub(crate) fn endpoint(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Working(receiver) => Some(receiver.endpoint()),
            Self::Refused(endpoint) | Self::Silent(endpoint, _) => Some(endpoint.clone()),
        }
    }
}
