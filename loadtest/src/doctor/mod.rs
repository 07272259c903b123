//! Says what is there, what is missing and how to get it.

mod programs;
mod stack;

use comfy_table::{Cell, Color, presets};
use serde::Serialize;

use crate::{
    exit::Exit,
    report::{Report, Style},
};

pub(crate) use programs::programs;
pub(crate) use stack::{Addresses, check_stack};

/// What became of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// All is well.
    Good,
    /// Something is missing that not everything needs.
    Missing,
    /// Nothing works without it.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) what: String,
    pub(crate) health: Health,
    /// A version, a figure, or what is wrong.
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

/// All that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Examination {
    pub(crate) findings: Vec<Finding>,
}

impl Examination {
    /// Fails if anything is bad.
    pub(crate) fn exit(&self) -> Exit {
        let bad = self.findings.iter().any(|finding| finding.health == Health::Bad);
        if bad { Exit::Environment } else { Exit::Pass }
    }
}

impl Report for Examination {
    fn text(&self, style: Style) -> String {
        let mut table = style.table(presets::NOTHING, &["", "what", "found", "what to do"]);
        for finding in &self.findings {
            let mark = match finding.health {
                Health::Good => style.coloured("ok", Color::Green),
                Health::Missing => style.coloured("missing", Color::Yellow),
                Health::Bad => style.coloured("FAIL", Color::Red),
            };
            let [what, found, advice] = [&finding.what, &finding.found, &finding.advice].map(Cell::new);
            table.add_row([mark, what, found, advice]);
        }
        format!("{table}\n")
    }
}
