//! Says what is there, what is missing and how to get it.

mod programs;
mod stack;

use comfy_table::{Cell, Color};

use crate::report::colours_wanted;

pub(crate) use programs::programs;
pub(crate) use stack::{Addresses, check_stack};

/// What became of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// All is well.
    Good,
    /// Something is missing that few need.
    Missing,
    /// Nothing works without it.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) what: String,
    pub(crate) health: Health,
    /// What was found: a version, a figure, or what is wrong.
    pub(crate) found: String,
    /// What to do about it, unless all is well.
    pub(crate) advice: String,
}

impl Finding {
    pub(crate) fn good(what: &str, found: impl Into<String>) -> Self {
        Self { what: what.into(), health: Health::Good, found: found.into(), advice: String::new() }
    }

    pub(crate) fn bad(what: &str, found: impl Into<String>, advice: &str) -> Self {
        Self { what: what.into(), health: Health::Bad, found: found.into(), advice: advice.into() }
    }
}

/// Findings as a table.
pub(crate) fn table(findings: &[Finding]) -> comfy_table::Table {
    let mut table = crate::report::plain_table();
    table.set_header(["", "what", "found", "what to do"]);
    for finding in findings {
        let (mark, colour) = match finding.health {
            Health::Good => ("ok", Color::Green),
            Health::Missing => ("–", Color::Yellow),
            Health::Bad => ("FAIL", Color::Red),
        };
        let mark = if colours_wanted() { Cell::new(mark).fg(colour) } else { Cell::new(mark) };
        table.add_row([mark, Cell::new(&finding.what), Cell::new(&finding.found), Cell::new(&finding.advice)]);
    }
    table
}
