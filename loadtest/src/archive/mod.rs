//! Reports of runs, read back: whole histograms, so that runs merge and compare.

mod counts;
mod wholes;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

pub(crate) use counts::Counts;
#[cfg(test)]
pub(crate) use counts::encode;
use wholes::SLICES_MAX;
pub(crate) use wholes::{Whole, wholes};

/// A run as its report tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The file that it was read from, or whatever it is called.
    pub(crate) name: String,
    pub(crate) series: Vec<Series>,
    /// What a delivery cost the servers; none if they were not on a lab.
    pub(crate) servers_us_per_delivery: Option<f64>,
    /// What was done.
    pub(crate) workload: Value,
    /// The processor, and how many there were.
    pub(crate) machine: (String, u64),
    /// Why it proves nothing; empty if it is valid.
    pub(crate) invalid: Vec<String>,
}

/// A series of latencies.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// What it measures: a hop or something else that reports name.
    pub(crate) measure: String,
    pub(crate) origin: Option<String>,
    pub(crate) recipient: Option<String>,
    /// All of it.
    pub(crate) whole: Counts,
    /// The same by the time at which messages were due.
    pub(crate) slices: Vec<Counts>,
}

#[derive(Deserialize)]
struct Report {
    workload: Value,
    machine: Machine,
    cpu: Cpu,
    latencies: Vec<Row>,
    audit: Audit,
    invalid: Vec<String>,
}

#[derive(Deserialize)]
struct Audit {
    findings: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Machine {
    cpu: String,
    cores: u64,
}

#[derive(Deserialize)]
struct Cpu {
    servers_us_per_delivery: Option<f64>,
}

#[derive(Deserialize)]
struct Row {
    measure: String,
    origin: Option<String>,
    recipient: Option<String>,
    #[serde(default)]
    histogram: String,
    #[serde(default)]
    slices: Vec<String>,
}

impl Run {
    /// Reads the JSON report of a run. An error names the file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("can't read {name}"))?;
        Self::parse(&name, &text).with_context(|| format!("{name} is no report of a run"))
    }

    /// Reads a report's text.
    pub(crate) fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let report: Report = serde_json::from_str(text)?;
        let series = report.latencies.into_iter().map(Row::series).collect::<anyhow::Result<Vec<_>>>()?;
        let has_slices = series.iter().any(|one| one.slices.len() > 1);
        ensure!(has_slices, "it has no histograms by time; an older program wrote it");
        let mut invalid = report.invalid;
        if report.audit.findings.values().any(|count| *count > 0) {
            invalid.push("its audit found something".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            series,
            servers_us_per_delivery: report.cpu.servers_us_per_delivery,
            workload: report.workload,
            machine: (report.machine.cpu, report.machine.cores),
            invalid,
        })
    }

    /// Several runs as one; nothing of none. Series that not all have are left out.
    pub(crate) fn merged(name: &str, runs: &[Self]) -> Option<Self> {
        let (first, rest) = runs.split_first()?;
        let series = first.series.iter().filter_map(|one| {
            let rest = rest.iter().map(|run| run.like(one));
            let alike: Vec<&Series> = std::iter::once(Some(one)).chain(rest).collect::<Option<_>>()?;
            Some(Series {
                whole: Counts::merged(alike.iter().map(|one| &one.whole)),
                slices: alike.iter().flat_map(|one| one.slices.iter().cloned()).collect(),
                ..one.clone()
            })
        });
        let costs: Option<Vec<f64>> = runs.iter().map(|run| run.servers_us_per_delivery).collect();
        Some(Self {
            name: name.to_owned(),
            series: series.collect(),
            servers_us_per_delivery: costs.map(|costs| costs.iter().sum::<f64>() / costs.len() as f64),
            invalid: runs.iter().flat_map(|run| run.invalid.clone()).collect(),
            ..first.clone()
        })
    }

    /// The series about the same thing as another run's.
    pub(crate) fn like(&self, other: &Series) -> Option<&Series> {
        self.series.iter().find(|one| one.is_like(other))
    }
}

impl Series {
    /// Whether both are about the same thing.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.measure, &self.origin, &self.recipient) == (&other.measure, &other.origin, &other.recipient)
    }

    /// How tables call it.
    pub(crate) fn name(&self) -> String {
        let origin = self.origin.as_ref().map(|origin| format!(", origin {origin}"));
        let recipient = self.recipient.as_ref().map(|recipient| format!(", {recipient} recipient"));
        format!("{}{}{}", self.measure, origin.unwrap_or_default(), recipient.unwrap_or_default())
    }
}

impl Row {
    fn series(self) -> anyhow::Result<Series> {
        ensure!(self.slices.len() <= SLICES_MAX as usize, "a series has {} slices", self.slices.len());
        Ok(Series {
            whole: Counts::decode(&self.histogram)?,
            slices: self.slices.iter().map(|slice| Counts::decode(slice)).collect::<anyhow::Result<_>>()?,
            measure: self.measure,
            origin: self.origin,
            recipient: self.recipient,
        })
    }
}
