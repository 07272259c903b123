//! What commands report: one value, for machines as JSON and for people as text.

mod bandwidth;
mod capacity;
mod claims;
mod compare;
mod comparison;
mod cost;
mod drill;
mod floor;
mod html;
mod idle;
mod options;
mod overload;
mod pacer;
mod required;
mod run;
mod saturate;
mod slow_client;
mod sweep;
mod terminal;
mod traces;
mod views;
mod waterfall;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use serde::Serialize;

use crate::{
    archive::{Whole, wholes},
    audit::Audit,
    clocks::ServerClock,
    cpu::CpuUse,
    exit::Exit,
    floor::Floor,
    latency::{Key, Latencies, Reconciliation, Series, Summary},
    machine::Machine,
    require::Required,
    run::{Connected, Outcome},
    verdict::{Judged, Verdict},
};
pub(crate) use bandwidth::BandwidthReport;
pub(crate) use capacity::CapacityReport;
pub(crate) use compare::CompareReport;
pub(crate) use comparison::compare;
pub(crate) use cost::CostReport;
pub(crate) use drill::{DrillReport, DrillsReport, NotRun};
pub(crate) use floor::{AboveFloor, FloorReport};
pub(crate) use html::{Pictures, Timeline, write_bandwidth, write_drills, write_options, write_page};
pub(crate) use idle::IdleReport;
pub(crate) use options::OptionsReport;
pub(crate) use overload::OverloadReport;
pub(crate) use pacer::PacerReport;
pub(crate) use run::RunReport;
pub(crate) use saturate::SaturateReport;
pub(crate) use slow_client::SlowClientReport;
pub(crate) use sweep::SweepReport;
pub(crate) use traces::{SavedTraces, SlowTrace, TraceReport};
pub(crate) use views::{CalibrationReport, ViewsReport};
pub(crate) use waterfall::waterfall;

/// How a command ended, as reports say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Conclusion {
    /// Nothing was found wrong.
    Pass,
    /// A claim doesn't hold, a limit was exceeded, or the audit found something.
    Fail,
    /// The run proves nothing.
    Invalid,
}

impl Conclusion {
    /// What the audit found stands even if the run is invalid otherwise.
    pub(crate) fn of(invalid: &[String], audit: &Audit, claims: &[Judged]) -> Self {
        let claim_fails = claims.iter().any(|claim| claim.verdict == Verdict::DoesNotHold);
        if !audit.is_clean() || claim_fails {
            Self::Fail
        } else if !invalid.is_empty() {
            Self::Invalid
        } else {
            Self::Pass
        }
    }

    /// The same, or a failure if the traces fall short of what was asked of them.
    pub(crate) fn with_traces(self, traces: Option<&TraceReport>) -> Self {
        if traces.is_some_and(|traces| !traces.shortcomings.is_empty()) { Self::Fail } else { self }
    }

    /// The same with requirements: one that isn't met fails, and one without a verdict proves nothing.
    pub(crate) fn and(self, required: &[Required]) -> Self {
        let any = |verdict| required.iter().any(|required| required.verdict == verdict);
        match self {
            _ if any(Verdict::DoesNotHold) => Self::Fail,
            Self::Pass if any(Verdict::NotMeasured) => Self::Invalid,
            otherwise => otherwise,
        }
    }

    /// The exit code that says so.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Pass => Exit::Pass,
            Self::Fail => Exit::Fail,
            Self::Invalid => Exit::Invalid,
        }
    }

    /// How reports spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
        }
    }
}

/// One line of the latency table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LatencyRow {
    /// What it is about.
    #[serde(flatten)]
    pub(crate) key: Key,
    /// Its figures.
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// All of it, for other programs and for `compare`.
    #[serde(flatten)]
    pub(crate) whole: Whole,
}

/// How much went through.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Throughput {
    /// Messages acknowledged in the measured window, a second.
    pub(crate) acknowledged_per_s: f64,
    /// Deliveries in the measured window, a second.
    pub(crate) delivered_per_s: f64,
}

/// What every command that sends messages reports.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Where the servers were: `lab`, or their addresses.
    pub(crate) target: String,
    /// Whether servers ran on the generator's machine: they compete for its processors.
    pub(crate) co_located: bool,
    /// What it ran on.
    pub(crate) machine: Machine,
    /// How many clients there were.
    pub(crate) clients: Connected,
    /// How much went through.
    pub(crate) throughput: Throughput,
    /// Latencies in milliseconds, hop by hop.
    pub(crate) latencies: Vec<LatencyRow>,
    /// Whether the hops add up to `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reconciliation: Option<Reconciliation>,
    /// Processor time.
    pub(crate) cpu: CpuUse,
    /// Resident memory of each server, in bytes.
    pub(crate) memory_bytes: BTreeMap<String, Memory>,
    /// What the audit found.
    pub(crate) audit: Audit,
    /// The traces, if messages were traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) traces: Option<TraceReport>,
    /// How far the servers' clocks agree with the generator's.
    pub(crate) clocks: Vec<ServerClock>,
    /// What limited the run, if anything did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// What the machine can do at best, and each hop as a multiple of it, if that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<AboveFloor>,
    /// What the page draws.
    #[serde(skip)]
    pub(crate) pictures: Pictures,
    /// Why the run proves nothing; empty if it is valid.
    pub(crate) invalid: Vec<String>,
}

impl Measured {
    /// Beside what the machine can do at best.
    pub(crate) fn above(self, floor: Option<Floor>, latencies: &Latencies) -> Self {
        let above = |floor: Floor| AboveFloor { multiples: floor.multiples(latencies), floor };
        Self { floor: floor.map(above), ..self }
    }
}

/// Resident memory of a server, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Before the first message.
    pub(crate) start: u64,
    /// The most that was seen.
    pub(crate) max: u64,
    /// After the last delivery.
    pub(crate) end: u64,
}

/// A report that people can read.
pub(crate) trait Report: Serialize {
    /// The report as text, with colours or without.
    fn text(&self, style: Style) -> String;
}

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colours: bool,
    width: Option<u16>,
}

/// Prints a report, and writes it as JSON where that is wanted.
pub(crate) fn publish(report: &impl Report, json: Option<&Path>) -> anyhow::Result<()> {
    if let Some(path) = json {
        write_json(report, path)?;
    }
    let mut text = report.text(Style::of_stdout());
    if let Some(path) = json {
        let _ = writeln!(text, "\nThe same as JSON: {}", path.display());
    }
    io::stdout().write_all(text.as_bytes()).context("can't print the report")
}

fn write_json(report: &impl Report, path: &Path) -> anyhow::Result<()> {
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    write_file(path, &json)
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

/// The table of all latencies, and what else is kept of them.
pub(crate) fn rows(outcome: &Outcome, latencies: &Latencies) -> Vec<LatencyRow> {
    let row =
        |(series, whole): (&Series, Whole)| LatencyRow { key: series.key, summary: series.summary(), whole };
    latencies.series().zip(wholes(outcome, latencies)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(lost: u64) -> Audit {
        Audit { findings: [("lost", lost)].into(), ..Audit::default() }
    }

    #[test]
    fn what_the_audit_found_outweighs_an_invalid_run() {
        let invalid = ["too late".to_owned()];
        assert_eq!(Conclusion::of(&invalid, &audit(1), &[]), Conclusion::Fail);
        assert_eq!(Conclusion::of(&invalid, &audit(0), &[]), Conclusion::Invalid);
        assert_eq!(Conclusion::of(&[], &audit(0), &[]), Conclusion::Pass);
    }
}
