//! Where Prometheus finds the figures that a claim is about.

use hopline::hop::{Hop, Origin};

use crate::budget::LatencyLimit;

/// A histogram, and which of its series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// Its name, without `_bucket` and the like.
    pub(super) name: &'static str,
    /// Labels, as they stand between braces.
    pub(super) labels: String,
}

impl Series {
    /// The figures of a limit; none if neither servers nor the load generator count them apart.
    pub(super) fn of(limit: &LatencyLimit) -> Option<Self> {
        let hop = format!("hop=\"{}\"", limit.hop.as_str());
        let (name, labels) = match (limit.hop, limit.origin, limit.recipient) {
            (Hop::Total, _, None) => ("hopline_loadtest_hop_duration_seconds", hop),
            (Hop::Send, _, Some(recipient)) => {
                ("hopline_hop_duration_seconds", format!("{hop},recipient=\"{}\"", recipient.as_str()))
            }
            (Hop::Total, _, Some(_)) | (Hop::Send, _, None) | (_, Some(Origin::Healed), _) => return None,
            (_, Some(origin), _) => {
                ("hopline_hop_duration_seconds", format!("{hop},origin=\"{}\"", origin.as_str()))
            }
            (_, None, _) => ("hopline_hop_duration_seconds", hop),
        };
        Some(Self { name, labels })
    }
}

/// A matcher of the bucket that ends at this bound, however the bound is spelled: a server's text says `1`
/// and `0.00001`, the load generator's and Prometheus 3 say `1.0` and `1e-05`.
pub(super) fn le(bound_s: f64) -> String {
    let plain = bound_s.to_string();
    if bound_s.fract() == 0.0 {
        return format!("le=~\"{plain}(\\\\.0)?\"");
    }
    let (mantissa, exponent) = split(bound_s);
    if exponent >= -4 {
        return format!("le=\"{plain}\"");
    }
    format!("le=~\"{}|{}e-0?{}\"", escaped(&plain), escaped(&mantissa), -exponent)
}

/// A number as its mantissa and its exponent to 10.
fn split(number: f64) -> (String, i32) {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').expect("this notation has an exponent");
    (mantissa.to_owned(), exponent.parse().expect("an exponent is a number"))
}

fn escaped(number: &str) -> String {
    number.replace('.', "\\\\.")
}

#[cfg(test)]
mod tests {
    use hopline::hop::Recipient;

    use super::*;

    #[test]
    fn a_bound_is_matched_in_every_spelling() {
        assert_eq!(le(0.001), r#"le="0.001""#);
        assert_eq!(le(0.5), r#"le="0.5""#);
        assert_eq!(le(1.5), r#"le="1.5""#);
        assert_eq!(le(1.0), r#"le=~"1(\\.0)?""#);
        assert_eq!(le(10.0), r#"le=~"10(\\.0)?""#);
        assert_eq!(le(0.00015), r#"le="0.00015""#);
        assert_eq!(le(0.000_012), r#"le=~"0\\.000012|1\\.2e-0?5""#);
    }

    #[test]
    fn only_what_is_counted_apart_has_a_series() {
        let labels = |hop, origin, recipient| {
            let limit = LatencyLimit { hop, origin, recipient, percentile: 50.0, limit_ms: 1.0 };
            Series::of(&limit).map(|series| (series.name.contains("loadtest"), series.labels))
        };
        let found = |loadtest, text: &str| Some((loadtest, text.to_owned()));
        assert_eq!(labels(Hop::Total, None, None), found(true, "hop=\"total\""));
        assert_eq!(labels(Hop::Total, None, Some(Recipient::Last)), None);
        assert_eq!(labels(Hop::Send, None, None), None);
        assert_eq!(
            labels(Hop::Send, None, Some(Recipient::Last)),
            found(false, "hop=\"send\",recipient=\"last\"")
        );
        assert_eq!(
            labels(Hop::Broadcast, Some(Origin::Own), None),
            found(false, "hop=\"broadcast\",origin=\"self\"")
        );
        assert_eq!(labels(Hop::Broadcast, None, None), found(false, "hop=\"broadcast\""));
    }
}
