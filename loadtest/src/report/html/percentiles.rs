//! Percentile curves: how long the slowest of two, ten, a hundred, a thousand took.

use maud::{Markup, html};

use super::{
    pictures::Curve,
    plot::{Plot, Scale, label, px},
};
use crate::{budget::LatencyLimit, report::terminal::milliseconds};

const TICKS: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

pub(super) fn chart(curves: &[Curve], limits: &[LatencyLimit]) -> Markup {
    let measured = curves.iter().flat_map(|curve| curve.points.iter().map(|(_, ms)| *ms));
    let limited = limits.iter().map(|limit| limit.limit_ms);
    let plot = Plot {
        width: 560.0,
        height: 380.0,
        x: Scale::linear(rarity(45.0), rarity(99.92)),
        y: Scale::log_around(measured.chain(limited)),
    };
    let ticks = TICKS.map(|percentile| (rarity(percentile), format!("p{percentile}")));
    let marks = html! {
        @for curve in curves { (line(&plot, curve)) }
        @for limit in limits { (mark(&plot, limit)) }
    };
    html! {
        (plot.draw("Latency by percentile", (&ticks, "percentile"), "milliseconds", &marks))
        ul.legend {
            @for curve in curves {
                li class=(format!("hue-{}", curve.hue)) {
                    span.key.dashed[curve.is_second] {} (curve.name)
                }
            }
            @if !limits.is_empty() { li.hue-limit { span.key {} "limit of a claim" } }
        }
    }
}

/// Equal distances for each tenfold of rarity.
fn rarity(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).log10()
}

fn line(plot: &Plot, curve: &Curve) -> Markup {
    let points = curve.points.iter().map(|(percentile, ms)| Some((rarity(*percentile), *ms)));
    let at = |percentile: f64| {
        let near = |point: &&(f64, f64)| (point.0 - percentile).abs() < 1e-6;
        curve.points.iter().find(near).copied()
    };
    html! {
        g class=(format!("hue-{}", curve.hue)) {
            path.mark.line.dashed[curve.is_second] d=(plot.line(points)) {}
            @for (percentile, ms) in TICKS.into_iter().filter_map(at) {
                circle.dot cx=(px(plot.x(rarity(percentile)))) cy=(px(plot.y(ms))) r="3.5" {
                    title { (curve.name) ", p" (label(percentile)) ": " (milliseconds(ms)) " ms" }
                }
            }
        }
    }
}

fn mark(plot: &Plot, limit: &LatencyLimit) -> Markup {
    let (x, y) = (plot.x(rarity(limit.percentile)), plot.y(limit.limit_ms));
    html! {
        g.hue-limit {
            path.limit d=(format!("M{} {}h26", px(x - 13.0), px(y))) {
                title { "limit of " (limit.hop.as_str()) ", p" (limit.percentile) ": " (limit.limit_ms) " ms" }
            }
            text.note x=(px(x - 13.0)) y=(px(y - 6.0)) { (limit.hop.as_str()) " < " (limit.limit_ms) " ms" }
        }
    }
}
