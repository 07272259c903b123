//! Reports as text.

use std::{
    env,
    fmt::Write,
    io::{IsTerminal, stdout},
};

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use super::{IdleReport, Measured, Report, Result, RunReport, SaturateReport, Style};
use crate::{
    audit::Audit,
    cpu::CpuUse,
    latency::{Key, Summary},
    machine::Machine,
    plan::Layout,
    verdict::{Judged, Verdict},
};

const WIDTH_WITHOUT_TERMINAL: u16 = 150;
const MIB: f64 = 1024.0 * 1024.0;

impl Style {
    /// Colours are for terminals, unless `NO_COLOR` is set.
    pub(super) fn of_stdout() -> Self {
        let terminal = stdout().is_terminal();
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colours: terminal && !unwanted,
            width: (!terminal).then_some(WIDTH_WITHOUT_TERMINAL),
        }
    }

    fn table(self, header: &[&str]) -> Table {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(header);
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

    fn coloured(self, text: &str, colour: Color) -> Cell {
        let cell = Cell::new(text);
        if self.colours { cell.fg(colour) } else { cell }
    }
}

impl Report for RunReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let workload = &self.workload;
        line(
            &mut text,
            "Workload",
            &format!(
                "{} messages/s for {} s after {} s of warm-up; {}",
                workload.rate_per_s,
                workload.duration.as_secs_f64(),
                workload.warm_up.as_secs_f64(),
                layout(&workload.layout)
            ),
        );
        measured(&mut text, &self.measured, style);
        if let Some(decision) = &self.decision {
            let _ = writeln!(text, "\n{decision}");
            let _ = writeln!(text, "{}", claims(&self.claims, style));
        }
        ending(&mut text, self.result, &self.measured.invalid);
        text
    }
}

impl Report for SaturateReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        line(
            &mut text,
            "Workload",
            &format!(
                "as fast as answers come for {} s, each publisher with {} unanswered; {}",
                self.seconds,
                self.outstanding,
                layout(&self.layout)
            ),
        );
        measured(&mut text, &self.measured, style);
        line(
            &mut text,
            "Durable",
            &format!(
                "{:.0} messages/s acknowledged; by the second: min {}, median {} (without the first)",
                self.measured.throughput.acknowledged_per_s,
                self.per_second_min,
                self.per_second_median
            ),
        );
        if let Some(rate) = self.at_least_per_s {
            line(&mut text, "Asked for", &format!("{rate:.0} messages/s"));
        }
        ending(&mut text, self.result, &self.measured.invalid);
        text
    }
}

impl Report for IdleReport {
    fn text(&self, _: Style) -> String {
        let mut text = String::new();
        line(
            &mut text,
            "Connections",
            &format!(
                "{} of {} still open after {} s; {} pings answered",
                self.open, self.connections, self.held_s, self.pings
            ),
        );
        line(
            &mut text,
            "Memory",
            &format!(
                "{:.1} MiB before, {:.1} MiB with all of them",
                self.before_bytes as f64 / MIB,
                self.after_bytes as f64 / MIB
            ),
        );
        line(
            &mut text,
            "Each",
            &format!(
                "{:.1} KiB; the limit is {:.1} KiB",
                self.bytes_per_connection as f64 / 1024.0,
                self.bytes_per_connection_max as f64 / 1024.0
            ),
        );
        ending(&mut text, self.result, &self.invalid);
        text
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "{label:<12} {value}");
}

fn layout(layout: &Layout) -> String {
    format!(
        "{} publishers, {} channels, {} subscribers, {} B bodies",
        layout.publishers, layout.channels, layout.subscribers, layout.body_bytes
    )
}

fn measured(text: &mut String, measured: &Measured, style: Style) {
    line(text, "Target", &measured.target);
    line(text, "Machine", &machine(&measured.machine));
    line(
        text,
        "Throughput",
        &format!(
            "{:.0} messages/s acknowledged, {:.0} deliveries/s",
            measured.throughput.acknowledged_per_s, measured.throughput.delivered_per_s
        ),
    );
    line(text, "CPU", &cpu(&measured.cpu));
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
    let mut table = style.table(&[
        "latency in ms",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "count",
    ]);
    for row in &measured.latencies {
        let mut cells = vec![Cell::new(name(row.key))];
        cells.extend(figures(&row.summary));
        cells.push(right(&row.summary.count.to_string()));
        table.add_row(cells);
    }
    let _ = writeln!(text, "\n{table}");
}

fn machine(machine: &Machine) -> String {
    let services: Vec<&str> = [&machine.postgres, &machine.redis]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let services = if services.is_empty() {
        String::new()
    } else {
        format!("; {}", services.join("; "))
    };
    format!(
        "{} × {}, {:.0} GiB, Linux {}{services}",
        machine.cores,
        machine.cpu,
        machine.memory_bytes as f64 / MIB / 1024.0,
        machine.kernel,
    )
}

fn cpu(cpu: &CpuUse) -> String {
    let part = |name: &str, seconds: Option<f64>| {
        seconds.map(|seconds| format!("{name} {:.0} %", seconds / cpu.window_s * 100.0))
    };
    let mut parts: Vec<String> = [
        part("servers", cpu.servers_s),
        part("PostgreSQL", cpu.postgres_s),
        part("Redis", cpu.redis_s),
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

fn audit(text: &mut String, audit: &Audit) {
    line(
        text,
        "Messages",
        &format!(
            "{} sent, {} acknowledged, {} stored; {} of {} deliveries",
            audit.sent, audit.acknowledged, audit.stored, audit.delivered, audit.owed
        ),
    );
    let mut findings: Vec<String> = audit
        .findings
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    findings.push(format!(
        "{} indeterminate ({} of them stored)",
        audit.indeterminate, audit.indeterminate_stored
    ));
    findings.extend(
        audit
            .refused
            .iter()
            .map(|(code, count)| format!("{count} refused as {code}")),
    );
    line(text, "Audit", &findings.join(", "));
    for example in &audit.examples {
        line(text, "", &example.to_string());
    }
}

fn name(key: Key) -> String {
    let mut name = key.measure.as_str().to_owned();
    if let Some(origin) = key.origin {
        let _ = write!(name, ", origin {}", origin.as_str());
    }
    if let Some(recipient) = key.recipient {
        let _ = write!(name, ", {} recipient", recipient.as_str());
    }
    name
}

fn figures(summary: &Summary) -> [Cell; 5] {
    [
        summary.p50_ms,
        summary.p90_ms,
        summary.p99_ms,
        summary.p99_9_ms,
        summary.max_ms,
    ]
    .map(|ms| right(&milliseconds(ms)))
}

fn milliseconds(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.3}")
    } else {
        format!("{ms:.1}")
    }
}

fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn claims(claims: &[Judged], style: Style) -> Table {
    let mut table = style.table(&[
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
    ]);
    for judged in claims {
        let mut cells = vec![
            Cell::new(plain(&judged.claim.sentence)),
            Cell::new(judged_by(judged)),
        ];
        match &judged.distribution {
            Some(distribution) => cells.extend(figures(distribution)),
            None => cells.extend((0..5).map(|_| Cell::new(""))),
        }
        cells.push(right(&limit(judged)));
        let headroom = judged
            .headroom_percent
            .map(|percent| format!("{percent:.0} %"));
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
fn judged_by(judged: &Judged) -> String {
    match (&judged.claim.latency, &judged.claim.audit, judged.measured) {
        (Some(limit), _, measured) => {
            let judged = format!("{}, p{}", name(limit.key()), limit.percentile);
            measured.map_or(judged.clone(), |ms| {
                format!("{judged} = {} ms", milliseconds(ms))
            })
        }
        (None, Some(limit), measured) => {
            let kinds: Vec<&str> = limit.findings.iter().map(|kind| kind.as_str()).collect();
            let kinds = kinds.join(" + ");
            measured.map_or(kinds.clone(), |count| format!("{kinds} = {count}"))
        }
        (None, None, _) => String::new(),
    }
}

fn limit(judged: &Judged) -> String {
    match (&judged.claim.latency, &judged.claim.audit) {
        (Some(limit), _) => format!("< {} ms", limit.limit_ms),
        (None, Some(limit)) => format!("≤ {}", limit.max),
        (None, None) => String::new(),
    }
}

/// A sentence without Markdown's emphasis and without references.
fn plain(sentence: &str) -> String {
    let mut plain = sentence.replace("**", "");
    while let Some(start) = plain.find("[[")
        && let Some(length) = plain[start..].find("](#references)")
    {
        plain.replace_range(start..start + length + "](#references)".len(), "");
    }
    plain
        .replace(" )", ")")
        .replace("  ", " ")
        .trim()
        .to_owned()
}

fn ending(text: &mut String, result: Result, invalid: &[String]) {
    let _ = writeln!(text, "\n{}", result.as_str());
    if !invalid.is_empty() {
        let _ = writeln!(text, "The run is invalid, its figures prove nothing:");
        for reason in invalid {
            let _ = writeln!(text, "  - {reason}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_shown_without_markup() {
        let sentence = "**Speed**: Redis (sub-1ms [[2]](#references)) and [[3]](#references)[[4]](#references) more";
        assert_eq!(plain(sentence), "Speed: Redis (sub-1ms) and more");
    }
}
