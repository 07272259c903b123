//! The verdict table.

use comfy_table::{Cell, Color, Table, presets};

use super::{
    Style,
    terminal::{figures, milliseconds, name, right},
};
use crate::verdict::{Judged, Verdict};

/// Each claim in the decision's words, what was measured, and whether it holds.
pub(super) fn claims(claims: &[Judged], style: Style) -> Table {
    let mut table = style.table(
        presets::UTF8_HORIZONTAL_ONLY,
        &[
            "the decision says",
            "judged by",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "limit",
            "headroom",
            "verdict",
        ],
    );
    for judged in claims {
        let mut cells = vec![Cell::new(plain(&judged.claim.sentence)), Cell::new(judged_by(judged))];
        match &judged.distribution {
            Some(distribution) => cells.extend(figures(distribution)),
            None => cells.extend((0..5).map(|_| Cell::new(""))),
        }
        cells.push(right(&limit(judged)));
        let headroom = judged.headroom_percent.map(|percent| format!("{percent:.0} %"));
        cells.push(right(&headroom.unwrap_or_default()));
        let colour = match judged.verdict {
            Verdict::Holds => Color::Green,
            Verdict::DoesNotHold => Color::Red,
            Verdict::NotMeasured => Color::Yellow,
        };
        let verdict = match &judged.why {
            Some(why) => format!("{}: {why}", judged.verdict.as_str()),
            None => judged.verdict.as_str().to_owned(),
        };
        cells.push(style.coloured(&verdict, colour));
        table.add_row(cells);
    }
    table
}

/// What the sentence is judged by, and the figure.
pub(super) fn judged_by(judged: &Judged) -> String {
    if let Some(limit) = &judged.claim.option {
        let figure = format!("{}: {}, p{}", limit.broker.name(), limit.hop.as_str(), limit.percentile);
        return judged.measured.map_or(figure.clone(), |ms| format!("{figure} = {} ms", milliseconds(ms)));
    }
    if let Some(limit) = &judged.claim.outage {
        let kinds: Vec<&str> = limit.findings.iter().map(|kind| kind.as_str()).collect();
        let figure = format!("{}, in its outage: {}", limit.broker.name(), kinds.join(" + "));
        return judged.measured.map_or(figure.clone(), |count| format!("{figure} = {count}"));
    }
    match (&judged.claim.latency, &judged.claim.audit, judged.measured) {
        (Some(limit), _, measured) => {
            let judged = format!("{}, p{}", name(limit.key()), limit.percentile);
            measured.map_or(judged.clone(), |ms| format!("{judged} = {} ms", milliseconds(ms)))
        }
        (None, Some(limit), measured) => {
            let kinds: Vec<&str> = limit.findings.iter().map(|kind| kind.as_str()).collect();
            let kinds = kinds.join(" + ");
            measured.map_or(kinds.clone(), |count| format!("{kinds} = {count}"))
        }
        (None, None, _) => String::new(),
    }
}

pub(super) fn limit(judged: &Judged) -> String {
    if let Some(limit) = &judged.claim.option {
        return match (limit.from_ms, limit.to_ms) {
            (Some(from), Some(to)) => format!("{from} to {to} ms"),
            (Some(from), None) => format!("≥ {from} ms"),
            (None, to) => format!("< {} ms", to.unwrap_or_default()),
        };
    }
    if let Some(limit) = &judged.claim.outage {
        return format!("≤ {}", limit.max);
    }
    match (&judged.claim.latency, &judged.claim.audit) {
        (Some(limit), _) => format!("< {} ms", limit.limit_ms),
        (None, Some(limit)) => format!("≤ {}", limit.max),
        (None, None) => String::new(),
    }
}

/// A sentence without Markdown's emphasis and without references.
pub(super) fn plain(sentence: &str) -> String {
    let mut plain = sentence.replace("**", "");
    while let Some(start) = plain.find("[[")
        && let Some(length) = plain[start..].find("](#references)")
    {
        plain.replace_range(start..start + length + "](#references)".len(), "");
    }
    plain.replace(" )", ")").replace("  ", " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_shown_without_markup() {
        let sentence =
            "**Speed**: Redis (sub-1ms [[2]](#references)) and [[3]](#references)[[4]](#references) more";
        assert_eq!(plain(sentence), "Speed: Redis (sub-1ms) and more");
    }
}
