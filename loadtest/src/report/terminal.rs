//! Reports as text.

use std::{
    env,
    fmt::Write,
    io::{IsTerminal, stdout},
};

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, TableStyle, presets};

use super::{Conclusion, Measured, Style, floor::multiples, traces::traces};
use crate::{
    audit::{Audit, Kind},
    cpu::CpuUse,
    latency::{Key, Reconciliation, Summary},
    machine::Machine,
    plan::{Churn, Layout, Popularity, Reconnect, Spread},
};

const WIDTH_WITHOUT_TERMINAL: u16 = 150;
pub(super) const MIB: f64 = 1024.0 * 1024.0;

impl Style {
    /// Colours are for terminals, unless `NO_COLOR` is set.
    pub(crate) fn of_stdout() -> Self {
        let terminal = stdout().is_terminal();
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: terminal && !unwanted, width: (!terminal).then_some(WIDTH_WITHOUT_TERMINAL) }
    }

    pub(crate) fn table(self, look: TableStyle, header: &[&str]) -> Table {
        let mut table = Table::new();
        table.load_style(look).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
        if let Some(width) = self.width {
            table.set_width(width);
        }
        if self.colours {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    /// How many columns there are.
    pub(super) fn width(self) -> u16 {
        self.width.or_else(|| Table::new().width()).unwrap_or(WIDTH_WITHOUT_TERMINAL)
    }

    pub(crate) fn coloured(self, text: &str, colour: Color) -> Cell {
        let cell = Cell::new(text);
        if self.colours { cell.fg(colour) } else { cell }
    }
}

pub(super) fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "{label:<12} {value}");
}

pub(super) fn layout(layout: &Layout) -> String {
    let mut text = format!(
        "{} publishers, {} channels, {} subscribers, {} B bodies",
        layout.publishers, layout.channels, layout.subscribers, layout.body_bytes
    );
    match layout.popularity {
        Popularity::Uniform => {}
        Popularity::Zipf(exponent) => {
            let _ = write!(text, ", channels by Zipf's law with {exponent}");
        }
        Popularity::HotShare(share) => {
            let _ = write!(text, ", {:.0} % to one channel", share * 100.0);
        }
    }
    if layout.spread == Spread::OneServer {
        text.push_str(", subscribers on one server");
    }
    if let Some(Reconnect { share, every_s }) = layout.reconnect {
        let _ = write!(text, ", {:.0} % reconnect every {every_s} s", share * 100.0);
    }
    if let Some(Churn { share, stay_s, away_s }) = layout.churn {
        let _ = write!(text, ", {:.0} % stay {stay_s} s and are away {away_s} s", share * 100.0);
    }
    text
}

pub(super) fn measured(text: &mut String, measured: &Measured, style: Style) {
    line(text, "Target", &measured.target);
    line(text, "Machine", &machine(&measured.machine));
    if measured.co_located {
        line(
            text,
            "Co-located",
            "the generator shares these cores with the servers; part of each figure is its own",
        );
    }
    line(
        text,
        "Throughput",
        &format!(
            "{:.0} messages/s acknowledged, {:.0} deliveries/s",
            measured.throughput.acknowledged_per_s, measured.throughput.delivered_per_s
        ),
    );
    line(text, "CPU", &format!("of one core: {}", cpu(&measured.cpu)));
    let memory: Vec<String> = measured
        .memory_bytes
        .iter()
        .map(|(node, memory)| {
            let mib = |bytes: u64| bytes as f64 / MIB;
            format!(
                "{node} {:.0} → {:.0} MiB (max {:.0})",
                mib(memory.start),
                mib(memory.end),
                mib(memory.max)
            )
        })
        .collect();
    if !memory.is_empty() {
        line(text, "Memory", &memory.join(", "));
    }
    audit(text, &measured.audit);
    if let Some(report) = &measured.traces {
        traces(text, report);
    }
    let mut table =
        style.table(presets::NOTHING, &["latency in ms", "p50", "p90", "p99", "p99.9", "max", "count"]);
    for row in &measured.latencies {
        let mut cells = vec![Cell::new(name(row.key))];
        cells.extend(figures(&row.summary));
        cells.push(right(&row.summary.count.to_string()));
        table.add_row(cells);
    }
    let _ = writeln!(text, "\n{table}");
    if let Some(Reconciliation { p50_percent, p90_percent, .. }) = measured.reconciliation {
        let share = format!("the hops miss total by {p50_percent:.1} % (median; p90 {p90_percent:.1} %)");
        line(text, "Reconciled", &share);
    }
    if let Some(above) = &measured.floor {
        let _ = writeln!(text, "\nIn ms, and what this machine can do at best\n{}", multiples(above, style));
    }
    for note in &measured.notes {
        line(text, "Note", note);
    }
}

pub(super) fn machine(machine: &Machine) -> String {
    let service = |name: &str, version: &Option<String>| {
        version.as_ref().map_or(String::new(), |version| format!("; {name} {version}"))
    };
    format!(
        "{} × {}, {:.0} GiB, Linux {}{}{}{}",
        machine.cores,
        machine.cpu,
        machine.memory_bytes as f64 / MIB / 1024.0,
        machine.kernel,
        service("PostgreSQL", &machine.postgres),
        service("Redis", &machine.redis),
        service("Kafka", &machine.kafka),
    )
}

pub(super) fn cpu(cpu: &CpuUse) -> String {
    let part = |name: &str, seconds: Option<f64>| {
        seconds.map(|seconds| format!("{name} {:.0} %", seconds / cpu.window_s * 100.0))
    };
    let mut parts: Vec<String> = [
        part("servers", cpu.servers_s),
        part("PostgreSQL", cpu.postgres_s),
        part("broker", cpu.broker_s),
        part("generator", Some(cpu.generator_s)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(us) = cpu.servers_us_per_delivery {
        parts.push(format!("servers {us:.1} µs a delivery"));
    }
    parts.join(", ")
}

pub(super) fn audit(text: &mut String, audit: &Audit) {
    line(
        text,
        "Messages",
        &format!(
            "{} sent, {} acknowledged, {} stored; {} of {} deliveries",
            audit.sent, audit.acknowledged, audit.stored, audit.delivered, audit.owed
        ),
    );
    let mut findings: Vec<String> =
        Kind::ALL.iter().map(|&kind| format!("{} {}", audit.count(kind), kind.as_str())).collect();
    findings.push(format!(
        "{} indeterminate ({} of them stored)",
        audit.indeterminate, audit.indeterminate_stored
    ));
    findings.extend(audit.refused.iter().map(|(code, count)| format!("{count} refused as {code}")));
    line(text, "Audit", &findings.join(", "));
    for example in &audit.examples {
        line(text, "", &example.to_string());
    }
}

pub(super) fn name(key: Key) -> String {
    let mut name = key.measure.as_str().to_owned();
    if let Some(origin) = key.origin {
        let _ = write!(name, ", origin {}", origin.as_str());
    }
    if let Some(recipient) = key.recipient {
        let _ = write!(name, ", {} recipient", recipient.as_str());
    }
    name
}

pub(super) fn figures(summary: &Summary) -> [Cell; 5] {
    [summary.p50_ms, summary.p90_ms, summary.p99_ms, summary.p99_9_ms, summary.max_ms]
        .map(|ms| right(&milliseconds(ms)))
}

pub(super) fn milliseconds(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.3}") } else { format!("{ms:.1}") }
}

pub(super) fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

pub(super) fn ending(text: &mut String, result: Conclusion, invalid: &[String]) {
    let _ = writeln!(text, "\n{}", result.as_str());
    if !invalid.is_empty() {
        let _ = writeln!(text, "The run is invalid, its figures prove nothing:");
        for reason in invalid {
            let _ = writeln!(text, "  - {reason}");
        }
    }
}
