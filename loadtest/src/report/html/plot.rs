//! What all plots have: scales, axes, and lines.

use std::fmt::Write;

use maud::{Markup, html};

/// Room for the labels of the axes.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;

/// Maps values to pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    is_log: bool,
}

impl Scale {
    pub(super) fn linear(from: f64, to: f64) -> Self {
        Self { from, to: to.max(from + f64::EPSILON), is_log: false }
    }

    /// Whole decades around the values, which are positive; one decade if there are none.
    pub(super) fn log_around(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let range =
            positive.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if range.0 > range.1 { (0.1, 1.0) } else { range };
        let (from, to) = (low.log10().floor(), (high.log10() - 1e-9).ceil());
        Self { from, to: to.max(from + 1.0), is_log: true }
    }

    /// From 0 to 1 within the scale; never outside it.
    fn share(self, value: f64) -> f64 {
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// Round values with their labels: of a logarithmic scale the decades, and what lies between if they are few.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        if self.is_log {
            let steps: &[f64] = if self.to - self.from <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let mut ticks = Vec::new();
            let mut decade = self.from;
            while decade <= self.to {
                ticks.extend(steps.iter().map(|step| step * 10_f64.powf(decade)));
                decade += 1.0;
            }
            let shown = ticks.into_iter().filter(|tick| tick.log10() <= self.to + 1e-9);
            return shown.map(|tick| (tick, label(tick))).collect();
        }
        let rough = (self.to - self.from) / 7.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let first = (self.from / step).ceil();
        let ticks = (0..).map(|number| (first + f64::from(number)) * step);
        ticks.take_while(|tick| *tick <= self.to + step * 1e-6).map(|tick| (tick, label(tick))).collect()
    }
}

/// A number with as many digits as it takes.
pub(super) fn label(value: f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

/// A coordinate, to a tenth of a pixel.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// A rectangle with two axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Plot {
    pub(super) fn x(&self, value: f64) -> f64 {
        LEFT + self.x.share(value) * (self.width - LEFT - RIGHT)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.bottom() - self.y.share(value) * (self.bottom() - TOP)
    }

    pub(super) const fn top() -> f64 {
        TOP
    }

    pub(super) fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    /// A path through points of data, with gaps where there is none.
    pub(super) fn line(&self, points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
        let mut path = String::new();
        let mut command = 'M';
        for point in points {
            let Some((x, y)) = point else {
                command = 'M';
                continue;
            };
            let _ = write!(path, "{command}{} {}", px(self.x(x)), px(self.y(y)));
            command = 'L';
        }
        path
    }

    /// The plot with its axes; `description` says in words what it shows.
    pub(super) fn draw(
        &self,
        description: &str,
        (x_ticks, x_label): (&[(f64, String)], &str),
        y_label: &str,
        marks: &Markup,
    ) -> Markup {
        let middle = f64::midpoint(TOP, self.bottom());
        html! {
            svg viewBox=(format!("0 0 {} {}", self.width, self.height)) role="img" aria-label=(description) {
                g.grid {
                    @for (value, text) in self.y.ticks() {
                        line x1=(px(LEFT)) x2=(px(self.width - RIGHT)) y1=(px(self.y(value))) y2=(px(self.y(value))) {}
                        text.tick.end x=(px(LEFT - 8.0)) y=(px(self.y(value) + 4.0)) { (text) }
                    }
                    @for (value, text) in x_ticks {
                        line x1=(px(self.x(*value))) x2=(px(self.x(*value))) y1=(px(TOP)) y2=(px(self.bottom())) {}
                        text.tick.middle x=(px(self.x(*value))) y=(px(self.bottom() + 17.0)) { (text) }
                    }
                }
                (marks)
                text.axis.end x=(px(self.width - RIGHT)) y=(px(self.height - 5.0)) { (x_label) }
                text.axis.middle transform=(format!("translate(13 {}) rotate(-90)", px(middle))) { (y_label) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_within_the_scale() {
        assert_eq!(labels(Scale::linear(0.0, 35.0)), ["0", "5", "10", "15", "20", "25", "30", "35"]);
        assert_eq!(labels(Scale::log_around([0.02, 30.0].into_iter())), ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(labels(Scale::log_around([2.0].into_iter())), ["1", "2", "5", "10"]);
        assert_eq!(labels(Scale::log_around([].into_iter())), ["0.1", "0.2", "0.5", "1"]);
    }

    #[test]
    fn nothing_is_drawn_outside_a_plot() {
        let plot = Plot {
            width: 600.0,
            height: 300.0,
            x: Scale::linear(0.0, 10.0),
            y: Scale::log_around([1.0, 9.0].into_iter()),
        };
        assert_eq!((plot.y(0.0), plot.y(1_000.0)), (plot.bottom(), Plot::top()));
        let points = [Some((0.0, 1.0)), None, Some((10.0, 10.0)), Some((20.0, 10.0))];
        assert_eq!(plot.line(points.into_iter()), "M58.0 260.0M586.0 12.0L586.0 12.0");
    }
}
