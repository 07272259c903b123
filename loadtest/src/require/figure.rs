//! The figures that can be required.

use hopline::hop::{Hop, Origin, Recipient};

use crate::{
    audit::Kind,
    latency::{Key, Measure},
};

/// Something that a run measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// In milliseconds.
    Latency(Key, Stat),
    /// How often the audit found this; all kinds, if none.
    Audit(Option<Kind>),
    /// Messages sent that nobody knows of.
    Indeterminate,
    /// A second, over the measured window.
    Rate(Flow),
    /// In percent of what it should be.
    Share(Flow),
    /// A percentile of the share of `total` that no hop explains, in percent: 50, 90 or 99.
    Reconciliation(u8),
}

/// What of a latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stat {
    Percentile(f64),
    Mean,
    Max,
}

/// What goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Messages; the share is that of the sent ones.
    Acknowledged,
    /// Deliveries; the share is that of the owed ones.
    Delivered,
    /// Messages with a complete trace, of the traced ones. It has no rate.
    Traced,
}

/// How a figure is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Count,
    PerSecond,
    Percent,
}

impl Unit {
    /// How reports spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Count => "",
            Self::PerSecond => "/s",
            Self::Percent => "%",
        }
    }
}

impl Figure {
    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::Latency(..) => Unit::Milliseconds,
            Self::Audit(_) | Self::Indeterminate => Unit::Count,
            Self::Rate(_) => Unit::PerSecond,
            Self::Share(_) | Self::Reconciliation(_) => Unit::Percent,
        }
    }

    /// The figure of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (before, stat) = split(name)?;
        let flow = match before {
            "acknowledged" => Some(Flow::Acknowledged),
            "delivered" => Some(Flow::Delivered),
            "traces" => Some(Flow::Traced),
            _ => None,
        };
        match (before, stat, flow) {
            (_, "share", Some(flow)) => Some(Self::Share(flow)),
            (_, "rate", Some(flow)) if flow != Flow::Traced => Some(Self::Rate(flow)),
            ("audit", "findings", _) => Some(Self::Audit(None)),
            ("audit", "indeterminate", _) => Some(Self::Indeterminate),
            ("audit", kind, _) => {
                let kind = Kind::ALL.into_iter().find(|it| it.as_str() == kind);
                kind.map(|kind| Self::Audit(Some(kind)))
            }
            ("reconciliation", "p50", _) => Some(Self::Reconciliation(50)),
            ("reconciliation", "p90", _) => Some(Self::Reconciliation(90)),
            ("reconciliation", "p99", _) => Some(Self::Reconciliation(99)),
            _ => Some(Self::Latency(key(before)?, Stat::named(stat)?)),
        }
    }
}

impl Stat {
    fn named(name: &str) -> Option<Self> {
        match name {
            "mean" => Some(Self::Mean),
            "max" => Some(Self::Max),
            _ => {
                let percentile = name.strip_prefix('p')?.parse().ok()?;
                (0.0 < percentile && percentile < 100.0).then_some(Self::Percentile(percentile))
            }
        }
    }
}

/// All that can be required, for those who misspell it.
pub(super) fn known() -> String {
    let qualified = |measure: Measure| {
        let name = measure.as_str();
        let whole = measure.has_whole().then(|| name.to_owned());
        let origins = [Origin::Own, Origin::Peer].map(|origin| format!("{name}.{}", origin.as_str()));
        let recipients = Recipient::ALL.map(|recipient| format!("{name}.{}", recipient.as_str()));
        let origins = origins.into_iter().filter(move |_| measure.has_origin());
        let recipients = recipients.into_iter().filter(move |_| measure.has_recipient());
        whole.into_iter().chain(origins).chain(recipients)
    };
    let latencies: Vec<String> = Measure::ALL.into_iter().flat_map(qualified).collect();
    let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("audit.{}", kind.as_str())).collect();
    format!(
        "there are\n  latencies, each with .p50, .p99, .p99.9 …, .mean or .max: {}\n  counts: {}, audit.findings, \
         audit.indeterminate\n  acknowledged.rate, delivered.rate\n  acknowledged.share, delivered.share, \
         traces.share\n  reconciliation.p50, reconciliation.p90, reconciliation.p99",
        latencies.join(", "),
        kinds.join(", "),
    )
}

/// Splits at the last dot that isn't a decimal point.
fn split(name: &str) -> Option<(&str, &str)> {
    let percentile = name.rfind(".p").filter(|place| name[place + 2..].parse::<f64>().is_ok());
    let place = percentile.or_else(|| name.rfind('.'))?;
    Some((&name[..place], &name[place + 1..]))
}

/// The key of a latency's name and, after a dot, its origin or recipient.
fn key(name: &str) -> Option<Key> {
    let (name, qualifier) = name.split_once('.').map_or((name, None), |(name, rest)| (name, Some(rest)));
    let measure = Measure::ALL.into_iter().find(|measure| measure.as_str() == name)?;
    let whole = Key { measure, origin: None, recipient: None };
    let Some(qualifier) = qualifier else {
        return measure.has_whole().then_some(whole);
    };
    let origin = [Origin::Own, Origin::Peer].into_iter().find(|it| it.as_str() == qualifier);
    let recipient = Recipient::ALL.into_iter().find(|it| it.as_str() == qualifier);
    match (origin, recipient) {
        (Some(_), _) if measure == Measure::Hop(Hop::Broadcast) => Some(Key { origin, ..whole }),
        (_, Some(_)) if measure.has_recipient() => Some(Key { recipient, ..whole }),
        _ => None,
    }
}
