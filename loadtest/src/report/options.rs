//! What `adr --all` reports: the decision's own table of comparison, measured.

use std::{fmt::Write, iter};

use comfy_table::{Cell, CellAlignment, Color, Table, presets};
use hopline::hop::Hop;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    Conclusion, Report, Style,
    claims::claims,
    comparison::{self, Compared},
    terminal::{layout, line, machine, milliseconds, right},
};
use crate::{
    lab::Broker,
    latency::Summary,
    machine::Machine,
    options::{Cost, Outage, Trial, components},
    plan::Workload,
    verdict::Judged,
};

pub(super) const MIB: f64 = 1024.0 * 1024.0;

/// The report of `adr --all`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OptionsReport {
    pub(crate) result: Conclusion,
    pub(crate) decision: String,
    pub(crate) machine: Machine,
    pub(crate) workload: Workload,
    /// How often each option was loaded.
    pub(crate) rounds: u16,
    pub(crate) trials: Vec<Trial>,
    /// The options that this machine can't run.
    pub(crate) not_run: Vec<String>,
    /// The decision's table of comparison.
    pub(crate) comparison: Vec<Compared>,
    pub(crate) claims: Vec<Judged>,
}

impl OptionsReport {
    /// Why some of it proves nothing.
    pub(super) fn invalid(&self) -> Vec<String> {
        let of = |trial: &Trial| {
            let outage = trial.outage.iter().flat_map(|outage| &outage.invalid);
            let name = trial.broker.name();
            let all: Vec<String> =
                trial.invalid.iter().chain(outage).map(|why| format!("{name}: {why}")).collect();
            all
        };
        self.trials.iter().flat_map(of).collect()
    }
}

impl Serialize for Trial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Trial", 9)?;
        fields.serialize_field("option", self.broker.name())?;
        fields.serialize_field("components", components(self.broker))?;
        fields.serialize_field("total_p50_ms_by_round", &self.total_p50_ms)?;
        let rows: Vec<Row> = self
            .latencies
            .series()
            .map(|series| Row { key: series.key, summary: series.summary() })
            .collect();
        fields.serialize_field("latencies", &rows)?;
        fields.serialize_field("audit", &self.audit)?;
        fields.serialize_field("cost", &Cost::median(&self.costs))?;
        fields.serialize_field("cost_by_round", &self.costs)?;
        fields.serialize_field("outage", &self.outage)?;
        fields.serialize_field("invalid", &self.invalid)?;
        fields.end()
    }
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    key: crate::latency::Key,
    #[serde(flatten)]
    summary: Summary,
}

impl OptionsReport {
    /// An option is a column: there are more figures than options.
    fn table(&self, style: Style) -> Table {
        let names = self.trials.iter().map(|trial| trial.broker.name());
        let header: Vec<&str> = iter::once("").chain(names).collect();
        let mut table = style.table(presets::NOTHING, &header);
        let columns: Vec<_> = self.trials.iter().map(row).collect();
        for (index, heading) in HEADINGS.iter().enumerate() {
            let figures = columns.iter().map(|column| right(&column[index]));
            table.add_row(iter::once(Cell::new(heading)).chain(figures));
        }
        let found = self.trials.iter().map(findings).map(|found| {
            let colour = if found == 0 { Color::Green } else { Color::Red };
            style.coloured(&found.to_string(), colour).set_alignment(CellAlignment::Right)
        });
        table.add_row(iter::once(Cell::new(FINDINGS)).chain(found));
        table
    }
}

impl Report for OptionsReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{}\n", self.decision);
        let workload = format!(
            "{} messages/s, {}; {} rounds of {} s each, in turn, after {} s of warm-up, with Kafka {} s; three servers, `local` one",
            self.workload.rate_per_s,
            layout(&self.workload.layout),
            self.rounds,
            self.workload.duration.as_secs(),
            self.workload.warm_up.as_secs(),
            Broker::Kafka.warm_up().as_secs(),
        );
        line(&mut text, "Workload", &workload);
        line(
            &mut text,
            "Machine",
            &format!("{}; everything runs on it, the generator, too", machine(&self.machine)),
        );
        let _ = writeln!(
            text,
            "\nThe decision's own comparison:\n{}\n\nAll options. Times in ms, processor time in µs a message, memory in MiB.\n{}\n",
            comparison::table(&self.comparison, style),
            self.table(style),
        );
        for name in &self.not_run {
            let _ = writeln!(text, "Not run: {name}.\n");
        }
        let _ = writeln!(text, "{}", claims(&self.claims, style));
        super::terminal::ending(&mut text, self.result, &self.invalid());
        text
    }
}

pub(super) const FINDINGS: &str = "findings of the audits";
/// The figures of an option, in the order of [`row`].
pub(super) const HEADINGS: [&str; 13] = [
    "persist, p50",
    "outbox, p50",
    "broadcast, p50",
    "broadcast, p99",
    "total, p50",
    "total, p50 of each round",
    "total, p99",
    "in its outage, p99 of deliveries",
    "after it, all caught up",
    "servers, processor time",
    "PostgreSQL, processor time",
    "broker, processor time",
    "broker, memory",
];

/// What was measured of an option.
pub(super) fn row(trial: &Trial) -> [String; 13] {
    let ms = |ms: Option<f64>| ms.map_or("–".to_owned(), milliseconds);
    let hop = |hop: Hop, of: fn(&Summary) -> f64| ms(trial.hop(hop).as_ref().map(of));
    let outage = |of: fn(&Outage) -> Option<f64>| ms(trial.outage.as_ref().and_then(of));
    let cost = Cost::median(&trial.costs);
    let bounds = |fold: fn(f64, f64) -> f64| trial.total_p50_ms.iter().copied().reduce(fold);
    [
        hop(Hop::Persist, |it| it.p50_ms),
        hop(Hop::Outbox, |it| it.p50_ms),
        hop(Hop::Broadcast, |it| it.p50_ms),
        hop(Hop::Broadcast, |it| it.p99_ms),
        hop(Hop::Total, |it| it.p50_ms),
        format!("{} to {}", ms(bounds(f64::min)), ms(bounds(f64::max))),
        hop(Hop::Total, |it| it.p99_ms),
        outage(|it| it.figures.fault_p99_ms),
        outage(|it| it.figures.heal_ms),
        format!("{:.0}", cost.servers_us),
        format!("{:.0}", cost.postgres_us),
        format!("{:.0}", cost.broker_us),
        format!("{:.0}", cost.broker_bytes as f64 / MIB),
    ]
}

/// What the audits found, under load and in the outage.
pub(super) fn findings(trial: &Trial) -> u64 {
    let outage = trial.outage.iter().flat_map(|outage| outage.audit.findings.values());
    trial.audit.findings.values().chain(outage).sum()
}
