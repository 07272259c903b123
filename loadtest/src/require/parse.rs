//! Reads requirements.

use super::{
    Comparison, Requirement,
    figure::{Figure, Unit, known},
};

const GRAMMAR: &str = "a requirement is like 'total.p99 < 25ms': a figure, one of < <= > >= =, and a value";

impl Requirement {
    /// An error says what can be required.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let start = text.find(['<', '>', '=']).ok_or(GRAMMAR)?;
        let (name, rest) = text.split_at(start);
        let end = rest.find(|c| !matches!(c, '<' | '>' | '=')).ok_or(GRAMMAR)?;
        let (operator, value) = rest.split_at(end);
        let comparison = match operator {
            "<" => Comparison::Below,
            "<=" => Comparison::AtMost,
            ">" => Comparison::Above,
            ">=" => Comparison::AtLeast,
            "=" | "==" => Comparison::Equal,
            _ => return Err(GRAMMAR.to_owned()),
        };
        let name = name.trim();
        let figure =
            Figure::named(name).ok_or_else(|| format!("there is no figure {name:?}; {}", known()))?;
        let value = value_of(value.trim(), figure.unit())?;
        Ok(Self { text: text.trim().to_owned(), figure, comparison, value })
    }
}

/// The value in the figure's unit.
fn value_of(text: &str, unit: Unit) -> Result<f64, String> {
    let units: &[(&str, f64)] = match unit {
        Unit::Milliseconds => &[("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("s", 1_000.0)],
        Unit::PerSecond => &[("/s", 1.0)],
        Unit::Percent => &[("%", 1.0)],
        Unit::Count => &[("", 1.0)],
    };
    let parsed = units.iter().find_map(|(suffix, factor)| {
        let value = text.strip_suffix(suffix)?.trim_end().parse::<f64>().ok()? * factor;
        (value.is_finite() && value >= 0.0).then_some(value)
    });
    parsed.ok_or_else(|| match unit {
        Unit::Milliseconds => format!("{text:?} is no time like 25ms, 300us or 1.5s"),
        Unit::PerSecond => format!("{text:?} is no rate like 490/s"),
        Unit::Percent => format!("{text:?} is no share like 99.9%"),
        Unit::Count => format!("{text:?} is no number"),
    })
}
