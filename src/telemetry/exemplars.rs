//! The histogram whose dots open traces. The exporter of the other metrics has no exemplars, so this one stands
//! alone, in the format of `OpenMetrics`.

use std::{sync::OnceLock, time::SystemTime};

use opentelemetry::trace::SpanContext;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{exemplar::HistogramWithExemplars, family::Family},
    registry::{Registry, Unit},
};

use crate::hop::{BOUNDS_SECONDS, Origin};

/// Media type of [`Exemplars::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The trace that a value was seen in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabel {
    trace_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OriginLabel {
    origin: &'static str,
}

/// A histogram of durations in seconds, with an exemplar for each bucket.
type Traced = HistogramWithExemplars<TraceLabel>;

/// What is rendered with exemplars.
pub struct Exemplars {
    registry: Registry,
    broadcast: [Traced; 2],
}

impl Exemplars {
    fn new() -> Self {
        let histogram: fn() -> Traced = || Traced::new(BOUNDS_SECONDS.into_iter());
        let family = Family::<OriginLabel, Traced, fn() -> Traced>::new_with_constructor(histogram);
        let broadcast = [Origin::Own, Origin::Peer]
            .map(|origin| family.get_or_create(&OriginLabel { origin: origin.as_str() }).clone());
        let mut registry = Registry::default();
        let help = "The hop broadcast once more, with exemplars";
        registry.register_with_unit("hopline_broadcast", help, Unit::Seconds, family);
        Self { registry, broadcast }
    }

    /// Records a broadcast from this server or from a peer, with the trace that it was part of.
    pub fn broadcast(&self, is_own: bool, duration_seconds: f64, trace: Option<&SpanContext>) {
        let label = trace.map(|trace| TraceLabel { trace_id: trace.trace_id().to_string() });
        // With its time, so that an exemplar which stays for several scrapes is stored once.
        let seen_at = label.is_some().then(SystemTime::now);
        self.broadcast[usize::from(!is_own)].observe(duration_seconds, label, seen_at);
    }

    /// The histogram as text, in [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes any text");
        text
    }
}

static EXEMPLARS: OnceLock<Exemplars> = OnceLock::new();

/// The histogram with exemplars; none if no metrics are recorded.
pub fn exemplars() -> Option<&'static Exemplars> {
    EXEMPLARS.get()
}

/// Begins to record.
pub(super) fn install() {
    EXEMPLARS.get_or_init(Exemplars::new);
}
