//! The report of `bandwidth` as a page: what is saved, by how many servers there are and how many of them want a channel.

use std::{collections::BTreeSet, path::Path};

use maud::{Markup, html};

use super::{
    document, figure,
    plot::{Plot, Scale, px},
    section,
};
use crate::{
    bandwidth::{CLAIMED, Point, Saving},
    report::{BandwidthReport, terminal, write_file},
};

/// Writes the page where it is wanted.
pub(crate) fn write_bandwidth(report: &BandwidthReport, path: Option<&Path>) -> anyhow::Result<()> {
    path.map_or(Ok(()), |path| write_file(path, &page(report).into_string()))
}

fn page(report: &BandwidthReport) -> Markup {
    let about = html! {
        p.about { (report.rate_per_s) " messages/s of " (report.body_bytes) " B in " (report.channels) " channels, alike; \
            each subscriber of a channel on another server. " (terminal::machine(&report.machine)) "." }
        @if !report.invalid.is_empty() {
            div.invalid { strong { "It proves nothing:" } ul { @for why in &report.invalid { li { (why) } } } }
        }
    };
    let content = html! {
        div.columns {
            (figure("channels", "Saved by a topic for each channel", ABOUT, &chart(&report.points, |it| &it.each_channel)))
            (figure("partitions", "Saved by partitions on a cluster", ABOUT, &chart(&report.points, |it| &it.partitions)))
        }
        (section("bytes", "Bytes that Redis sent for each message", "All of them, by its own count.", &table(report)))
    };
    document("What topics save of Redis' bandwidth", report.result, &about, &content)
}

const ABOUT: &str = "Lines: the model, 1 − the share of servers that want the topic. Dots: measured.";

type Of = fn(&Point) -> &Saving;

/// A line and its dots for each number of servers that want a channel.
fn chart(points: &[Point], of: Of) -> Markup {
    let servers: BTreeSet<usize> = points.iter().map(|point| point.servers).collect();
    let wanting: BTreeSet<usize> = points.iter().map(|point| point.subscribers).collect();
    let place = |count: usize| (count as f64).log2();
    let range = (servers.first().copied().unwrap_or(1), servers.last().copied().unwrap_or(2));
    let plot = Plot {
        width: 560.0,
        height: 380.0,
        x: Scale::linear(place(range.0) - 0.2, place(range.1) + 0.2),
        y: Scale::linear(-10.0, 100.0),
    };
    let ticks: Vec<_> = servers.iter().map(|&count| (place(count), count.to_string())).collect();
    let at = |point: &Point, saved: f64| (place(point.servers), saved * 100.0);
    let claimed = plot.y(CLAIMED * 100.0);
    let marks = html! {
        g.hue-limit {
            path.limit d=(format!("M{} {}H{}", px(plot.x(place(range.0) - 0.2)), px(claimed), px(plot.x(place(range.1) + 0.2)))) {}
            text.note x=(px(plot.x(place(range.0) - 0.15))) y=(px(claimed - 6.0)) { "“80%+”" }
        }
        @for (number, &subscribers) in (2..).zip(&wanting) {
            @let of_these = || points.iter().filter(move |point| point.subscribers == subscribers);
            g class=(hue(number)) {
                path.mark.line d=(plot.line(of_these().map(|point| Some(at(point, of(point).expected))))) {}
                @for point in of_these() {
                    @let (x, y) = at(point, of(point).saved);
                    circle.dot cx=(px(plot.x(x))) cy=(px(plot.y(y))) r="3.5" {
                        title { (subscribers) " of " (point.servers) " servers: " (format!("{y:.1}")) " % saved" }
                    }
                }
            }
        }
    };
    html! {
        (plot.draw("Saving by number of servers", (&ticks, "servers"), "saved, %", &marks))
        ul.legend {
            @for (number, subscribers) in (2..).zip(&wanting) {
                li class=(hue(number)) { span.key {} "a channel is wanted on " (subscribers) }
            }
        }
    }
}

fn hue(number: usize) -> String {
    format!("hue-option-{number}")
}

fn table(report: &BandwidthReport) -> Markup {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    html! {
        div.scroll { table {
            thead { tr {
                @for title in ["servers", "that want a channel", "one topic", "a topic each", "saved", "by the model",
                    "partitions", "saved", "by the model"] { th.number scope="col" { (title) } }
            } }
            tbody { @for point in &report.points { tr {
                td.number { (point.servers) }
                td.number { (point.subscribers) }
                td.number { (format!("{:.0}", point.one_topic_bytes)) }
                @for saving in [&point.each_channel, &point.partitions] {
                    td.number { (format!("{:.0}", saving.bytes)) }
                    td.number { (percent(saving.saved)) }
                    td.number { (percent(saving.expected)) }
                }
            } } }
        } }
    }
}
