//! Latency over time: a band from p50 to p99, for the total and for each hop.

use hopline::hop::Hop;
use maud::{Markup, html};

use super::{
    plot::{Plot, Scale, px},
    timeline::{HOPS, Timeline},
};
use crate::report::terminal::milliseconds;

/// A window that is narrower than this says what it is only when it is pointed at.
const LABELLED_MIN: f64 = 40.0;

/// The total, wide.
pub(super) fn total(timeline: &Timeline) -> Markup {
    chart(timeline, HOPS.len() - 1, (1160.0, 250.0))
}

/// Each hop that was measured, small.
pub(super) fn hops(timeline: &Timeline) -> Vec<(Hop, Markup)> {
    let was_measured = |place: &usize| timeline.columns.iter().any(|column| column.figures[*place].is_some());
    let places = (0..HOPS.len() - 1).filter(was_measured);
    places.map(|place| (HOPS[place], chart(timeline, place, (560.0, 190.0)))).collect()
}

/// The axis of time, as all plots over time have it.
pub(super) fn seconds(timeline: &Timeline) -> Scale {
    Scale::linear(0.0, (timeline.columns.len() as f64) * f64::from(timeline.column_s))
}

fn chart(timeline: &Timeline, place: usize, (width, height): (f64, f64)) -> Markup {
    let figures = || timeline.columns.iter().filter_map(|column| column.figures[place]);
    let x = seconds(timeline);
    let y = Scale::log_around(figures().flat_map(|figures| [figures.p50_ms, figures.p99_ms]));
    let plot = Plot { width, height, x, y };
    let name = HOPS[place].as_str();
    let middle = |number: usize| (number as f64 + 0.5) * f64::from(timeline.column_s);
    let points = |p99: bool| {
        timeline.columns.iter().enumerate().map(move |(number, column)| {
            let figures = column.figures[place]?;
            Some((middle(number), if p99 { figures.p99_ms } else { figures.p50_ms }))
        })
    };
    let marks = html! {
        (windows(&plot, timeline))
        g class=(format!("hue-{name}")) {
            path.band d=(band(&plot, points(false), points(true))) {}
            path.mark.line.thin d=(plot.line(points(true))) {}
            path.mark.line d=(plot.line(points(false))) {}
            (hints(&plot, timeline, place))
        }
    };
    let description = format!("{name} over time, p50 and p99");
    plot.draw(&description, (&plot.x.ticks(), "seconds from the first message"), "milliseconds", &marks)
}

/// The area between two lines, where there are both.
fn band(
    plot: &Plot,
    low: impl Iterator<Item = Option<(f64, f64)>>,
    high: impl Iterator<Item = Option<(f64, f64)>>,
) -> String {
    let (low, high): (Vec<_>, Vec<_>) = (low.collect(), high.collect());
    let mut area = String::new();
    for (low, high) in low.split(Option::is_none).zip(high.split(Option::is_none)) {
        if !low.is_empty() {
            let there_and_back = low.iter().chain(high.iter().rev()).copied();
            area += &(plot.line(there_and_back) + "Z");
        }
    }
    area
}

/// What a column says when it is pointed at.
fn hints(plot: &Plot, timeline: &Timeline, place: usize) -> Markup {
    let width = f64::from(timeline.column_s);
    html! {
        @for (number, column) in timeline.columns.iter().enumerate() {
            @if let Some(figures) = column.figures[place] {
                @let from = number as f64 * width;
                rect.hint x=(px(plot.x(from))) width=(px(plot.x(from + width) - plot.x(from)))
                    y=(px(Plot::top())) height=(px(plot.bottom() - Plot::top())) {
                    title {
                        (from) " s: p50 " (milliseconds(figures.p50_ms)) " ms, p99 "
                        (milliseconds(figures.p99_ms)) " ms"
                    }
                }
            }
        }
    }
}

/// What is shaded: the warm-up, and times in which something was broken on purpose.
pub(super) fn windows(plot: &Plot, timeline: &Timeline) -> Markup {
    let window = |class: &str, from_s: f64, to_s: f64, label: &str| {
        let (from, to) = (plot.x(from_s), plot.x(to_s));
        html! {
            g class=(class) {
                rect x=(px(from)) width=(px(to - from)) y=(px(Plot::top()))
                    height=(px(plot.bottom() - Plot::top())) { title { (label) } }
                @if to - from > LABELLED_MIN { text.note x=(px(from + 5.0)) y=(px(Plot::top() + 13.0)) { (label) } }
            }
        }
    };
    html! {
        @if timeline.window_s.start > 0.0 {
            (window("warm-up", 0.0, timeline.window_s.start, "warm-up"))
        }
        @for fault in &timeline.faults { (window("fault", fault.from_s, fault.to_s, &fault.label)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::timeline::{Column, Fault, Figures};

    fn timeline() -> Timeline {
        let column = |figures| Column { figures: [figures; HOPS.len()], ..Column::default() };
        let some = Some(Figures { p50_ms: 1.0, p99_ms: 3.0 });
        let columns = vec![column(some), column(some), column(None), column(some)];
        let faults = vec![Fault { from_s: 1.0, to_s: 2.0, label: "broker <paused>".to_owned() }];
        Timeline { column_s: 1, columns, window_s: 0.0..4.0, faults }
    }

    #[test]
    fn a_second_without_figures_leaves_a_gap() {
        let text = total(&timeline()).into_string();
        assert_eq!(text.matches("<rect class=\"hint\"").count(), 3);
        let line = text.split("<path class=\"mark line\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(line.matches('M').count(), 2, "{line}");
        let area = text.split("<path class=\"band\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(area.matches('Z').count(), 2, "{area}");
    }

    #[test]
    fn faults_are_shaded_and_the_warm_up_where_there_is_one() {
        let text = total(&timeline()).into_string();
        assert!(text.contains("<title>broker &lt;paused&gt;</title>"), "{text}");
        assert!(!text.contains("warm-up"), "{text}");
        let warm = Timeline { window_s: 1.0..4.0, ..timeline() };
        assert!(total(&warm).into_string().contains("warm-up"));
    }
}
