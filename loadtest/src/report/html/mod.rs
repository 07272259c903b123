//! The report of `run` and `adr` as a page: one file that needs no network and no script.

mod bandwidth;
mod breakdown;
mod drills;
mod heat_map;
mod options;
mod over_time;
mod percentiles;
mod pictures;
mod plot;
mod shares;
mod tables;
mod timeline;
mod waterfalls;

use std::path::Path;

use hopline::hop::Hop;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Conclusion, RunReport, terminal::milliseconds, write_file};
use crate::{
    latency::{Key, Measure},
    render::hop_colour,
};
pub(crate) use bandwidth::write_bandwidth;
pub(crate) use drills::write_drills;
pub(crate) use options::write_options;
pub(crate) use pictures::Pictures;
pub(crate) use timeline::Timeline;

const STYLE: &str = include_str!("style.css");
/// The curves of the options, told apart by those who tell few colours apart, too (Okabe and Ito).
const OPTION_COLOURS: [&str; 6] = ["#999999", "#009e73", "#56b4e9", "#0072b2", "#e69f00", "#d55e00"];
/// What the browser may load for the page: nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Writes the page where it is wanted.
pub(crate) fn write_page(report: &RunReport, path: Option<&Path>) -> anyhow::Result<()> {
    path.map_or(Ok(()), |path| write_file(path, &page(report).into_string()))
}

fn page(report: &RunReport) -> Markup {
    let measured = &report.measured;
    let content = html! {
        (figures(report))
        @if !report.claims.is_empty() {
            (section("verdicts", "Verdicts", "What the decision claims, and what this run measured.",
                &tables::claims(&report.claims)))
        }
        (charts(report))
        (section("latencies", "All latencies", "From the intended time where nothing else is said.",
            &tables::latencies(&measured.latencies)))
        div.columns {
            (section("audit", "Audit", "Every message sent, stored and delivered, compared with one another.",
                &tables::audit(measured)))
            (section("cpu", "CPU by process", "Over the measured window.", &tables::cpu(&measured.cpu)))
        }
        (section("setup", "Configuration and machine", "", &tables::setup(report)))
    };
    let title = report.decision.as_deref().unwrap_or("Load test");
    document(title, report.result, &about(report), &content)
}

/// A whole page. What `about` says stands beneath the title.
fn document(title: &str, result: Conclusion, about: &Markup, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (result.as_str()) }
                style { (PreEscaped(STYLE)) (PreEscaped(hues())) }
            }
            body { main {
                header {
                    p.product { "Hopline" span { "every hop of a message, timed" } }
                    h1 { (title) " " (badge(result)) }
                    (about)
                }
                (content)
            } }
        }
    }
}

fn badge(result: Conclusion) -> Markup {
    let class = match result {
        Conclusion::Pass => "good",
        Conclusion::Fail => "bad",
        Conclusion::Invalid => "open",
    };
    html! { span class=(format!("badge {class}")) { (result.as_str()) } }
}

/// What was done, and what limits it.
fn about(report: &RunReport) -> Markup {
    html! {
        p.about { (report.workload.rate_per_s) " messages/s for " (report.workload.duration.as_secs())
            " s, " (super::terminal::layout(&report.workload.layout)) "; " (report.measured.target)
            @if report.measured.co_located { "; the generator shares these cores with the servers" } }
        @if !report.measured.invalid.is_empty() {
            div.invalid {
                strong { "The run is invalid, its figures prove nothing:" }
                ul { @for reason in &report.measured.invalid { li { (reason) } } }
            }
        }
        @if !report.measured.notes.is_empty() {
            ul.notes { @for note in &report.measured.notes { li { (note) } } }
        }
    }
}

/// The figures that one looks for first.
fn figures(report: &RunReport) -> Markup {
    let measured = &report.measured;
    let total = Key { measure: Measure::Hop(Hop::Total), origin: None, recipient: None };
    let total = measured.latencies.iter().find(|row| row.key == total).map(|row| row.summary);
    let mut tiles: Vec<(&str, String, &str)> = Vec::new();
    if let Some(total) = total {
        tiles.push(("total, p50", milliseconds(total.p50_ms), "ms"));
        tiles.push(("total, p99", milliseconds(total.p99_ms), "ms"));
    }
    tiles.push(("acknowledged", format!("{:.0}", measured.throughput.acknowledged_per_s), "messages/s"));
    tiles.push(("delivered", format!("{:.0}", measured.throughput.delivered_per_s), "deliveries/s"));
    tiles.push(("audit", measured.audit.findings.values().sum::<u64>().to_string(), "findings"));
    let completeness = measured.traces.as_ref().and_then(|traces| traces.completeness.as_ref());
    if let Some(percent) = completeness.and_then(crate::traces::Completeness::percent) {
        tiles.push(("complete traces", format!("{percent:.2}"), "%"));
    }
    html! {
        dl.tiles {
            @for (name, value, unit) in tiles { div { dt { (name) } dd { (value) span { (unit) } } } }
        }
    }
}

fn charts(report: &RunReport) -> Markup {
    let Pictures { curves, timeline, breakdowns, slowest } = &report.measured.pictures;
    let limits: Vec<_> = report.claims.iter().filter_map(|judged| judged.claim.latency).collect();
    let reconciled = report.measured.reconciliation.map_or(String::new(), |it| {
        format!("Shares of the total, which the hops miss by {:.1} % (median).", it.p50_percent)
    });
    html! {
        div.columns {
            (figure("percentiles", "Percentiles by hop", "Both axes are logarithmic; a curve ends where fewer than ten \
                figures lie beyond it.", &percentiles::chart(curves, &limits)))
            (figure("shares", "Where the time goes", &reconciled, &shares::chart(breakdowns)))
        }
        (figure("total-over-time", "Total over time", "From p50, the strong line, to p99, by the second in which a \
            message was due.", &over_time::total(timeline)))
        (figure("heat-map", "Total, by second and latency", "The darker, the more deliveries.",
            &heat_map::chart(timeline)))
        div.columns {
            @for (hop, chart) in over_time::hops(timeline) {
                (figure(&format!("{}-over-time", hop.as_str()), &format!("{} over time", hop.as_str()), "", &chart))
            }
        }
        @for (number, trace) in slowest.iter().enumerate() {
            @let title = if number == 0 { "Slowest trace" } else { "Another slow trace" };
            (figure(&format!("trace-{}", number + 1), title, &trace.id().to_string(), &waterfalls::chart(trace)))
        }
    }
}

fn section(id: &str, title: &str, about: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (title) }
            @if !about.is_empty() { p.about { (about) } }
            (content)
        }
    }
}

fn figure(id: &str, title: &str, about: &str, content: &Markup) -> Markup {
    html! {
        figure id=(id) {
            figcaption { h2 { (title) } @if !about.is_empty() { p.about { (about) } } }
            div.scroll { (content) }
        }
    }
}

/// A rule for each hop's colour; spans and parts that are no hops have that of what they belong to.
fn hues() -> String {
    let hop = |hop: Hop| format!(".hue-{}{{--hue:{}}}", hop.as_str(), hop_colour(hop));
    let others = [("commit", Hop::Persist), ("send_and_drain", Hop::Send)]
        .map(|(name, hop)| format!(".hue-{name}{{--hue:{}}}", hop_colour(hop)));
    let options =
        (1..).zip(OPTION_COLOURS).map(|(number, colour)| format!(".hue-option-{number}{{--hue:{colour}}}"));
    Hop::ALL.map(hop).into_iter().chain(others).chain(options).collect()
}
