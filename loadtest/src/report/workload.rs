//! What a report says of the workload.

use std::fmt::Write;

use crate::plan::{Churn, Layout, Popularity, Reconnect, Spread, Workload};

/// The rate, or those that follow one another.
pub(super) fn rates(workload: &Workload) -> String {
    if workload.steps.is_empty() {
        return workload.rate_per_s.to_string();
    }
    let rates: Vec<String> = workload.steps.iter().map(|step| step.rate_per_s.to_string()).collect();
    rates.join(" → ")
}

/// Who talks to whom, as far as it isn't the usual.
pub(super) fn layout(layout: &Layout) -> String {
    let mut text = format!(
        "{} publishers, {} channels, {} subscribers, {} B bodies",
        layout.publishers, layout.channels, layout.subscribers, layout.body_bytes
    );
    match layout.popularity {
        Popularity::Uniform => {}
        Popularity::Zipf(exponent) => {
            let _ = write!(text, ", channels by Zipf's law with {exponent}");
        }
        Popularity::HotShare(share) => {
            let _ = write!(text, ", {:.0} % to one channel", share * 100.0);
        }
    }
    if layout.spread == Spread::OneServer {
        text.push_str(", subscribers on one server");
    }
    if let Some(Reconnect { share, every_s }) = layout.reconnect {
        let _ = write!(text, ", {:.0} % reconnect every {every_s} s", share * 100.0);
    }
    if let Some(Churn { share, stay_s, away_s }) = layout.churn {
        let _ = write!(text, ", {:.0} % stay {stay_s} s and are away {away_s} s", share * 100.0);
    }
    text
}
