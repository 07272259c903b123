//! The page's tables: verdicts, latencies, the audit, and what it ran on.

use maud::{Markup, html};

use crate::{
    audit::Kind,
    cpu::CpuUse,
    report::{
        LatencyRow, Measured, RunReport,
        claims::{judged_by, limit, plain},
        comparison::Compared,
        terminal::{self, milliseconds},
    },
    verdict::{Judged, Verdict},
};

const MIB: f64 = 1024.0 * 1024.0;

/// The tone of a verdict.
const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "good",
        Verdict::DoesNotHold => "bad",
        Verdict::NotMeasured => "muted",
    }
}

/// What the decision says of both options, and what was measured of each.
pub(super) fn comparison(rows: &[Compared]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" {}
                @for title in ["PostgreSQL + Redis", "measured", "PostgreSQL + Outbox + Kafka", "measured, as written"] {
                    th scope="col" { (title) }
                }
            } }
            tbody { @for row in rows { tr {
                th scope="row" { (row.aspect) }
                @for side in [&row.redis, &row.kafka] {
                    td { (side.says) }
                    td {
                        (side.measured) " "
                        @if let Some(verdict) = side.verdict {
                            span class=(format!("badge {}", class(verdict))) { (verdict.as_str()) }
                        }
                    }
                }
            } } }
        } }
    }
}

pub(super) fn claims(claims: &[Judged]) -> Markup {
    html! {
        div.scroll { table.verdicts {
            thead { tr {
                @for title in ["the decision says", "judged by"] { th scope="col" { (title) } }
                @for title in ["limit", "headroom"] { th.number scope="col" { (title) } }
                th scope="col" { "verdict" }
            } }
            tbody {
                @for judged in claims {
                    tr {
                        td.sentence { (plain(&judged.claim.sentence)) }
                        td.judged { (judged_by(judged)) }
                        td.number { (limit(judged)) }
                        td.number { @if let Some(percent) = judged.headroom_percent { (format!("{percent:.0} %")) } }
                        td {
                            span class=(format!("badge {}", class(judged.verdict))) { (judged.verdict.as_str()) }
                            @if let Some(why) = &judged.why { div.why { (why) } }
                        }
                    }
                }
            }
        } }
    }
}

pub(super) fn latencies(rows: &[LatencyRow]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "latency in ms" }
                @for title in ["p50", "p90", "p99", "p99.9", "max", "count"] { th.number scope="col" { (title) } }
            } }
            tbody {
                @for LatencyRow { key, summary, .. } in rows {
                    tr {
                        th scope="row" { (terminal::name(*key)) }
                        @for ms in [summary.p50_ms, summary.p90_ms, summary.p99_ms, summary.p99_9_ms, summary.max_ms] {
                            td.number { (milliseconds(ms)) }
                        }
                        td.number { (summary.count) }
                    }
                }
            }
        } }
    }
}

pub(super) fn audit(measured: &Measured) -> Markup {
    let audit = &measured.audit;
    html! {
        (pairs(&[
            ("sent", audit.sent.to_string()),
            ("acknowledged", audit.acknowledged.to_string()),
            ("stored", audit.stored.to_string()),
            ("delivered", format!("{} of {}", audit.delivered, audit.owed)),
            ("indeterminate", format!("{}, {} of them stored", audit.indeterminate, audit.indeterminate_stored)),
        ]))
        ul.findings {
            @for kind in Kind::ALL {
                @let count = audit.count(kind);
                li class=(if count == 0 { "badge good" } else { "badge bad" }) { (count) " " (kind.as_str()) }
            }
            @for (code, count) in &audit.refused { li.badge.bad { (count) " refused as " (code) } }
        }
        @if !audit.examples.is_empty() {
            ul { @for example in &audit.examples { li { (example) } } }
        }
    }
}

/// What was done, and on what.
pub(super) fn setup(report: &RunReport) -> Markup {
    let Measured { machine, target, memory_bytes, .. } = &report.measured;
    let (workload, layout) = (&report.workload, &report.workload.layout);
    let mut rows = vec![
        ("target", target.clone()),
        ("rate", format!("{} messages/s, at a constant rate", workload.rate_per_s)),
        (
            "duration",
            format!(
                "{} s after {} s of warm-up",
                workload.duration.as_secs_f64(),
                workload.warm_up.as_secs_f64()
            ),
        ),
        ("layout", terminal::layout(layout)),
        ("seed", layout.seed.to_string()),
        ("machine", format!("{} × {}", machine.cores, machine.cpu)),
        ("memory", format!("{:.0} GiB", machine.memory_bytes as f64 / MIB / 1024.0)),
        ("kernel", format!("Linux {}", machine.kernel)),
    ];
    let versions = [("PostgreSQL", &machine.postgres), ("Redis", &machine.redis), ("Kafka", &machine.kafka)];
    rows.extend(versions.into_iter().filter_map(|(name, version)| Some((name, version.clone()?))));
    let resident: Vec<String> =
        memory_bytes.iter().map(|(node, memory)| format!("{node} {:.0}", memory.max as f64 / MIB)).collect();
    if !resident.is_empty() {
        rows.push(("servers' memory", format!("{} MiB at most", resident.join(", "))));
    }
    pairs(&rows)
}

/// Processor time by process, as shares of one core.
pub(super) fn cpu(cpu: &CpuUse) -> Markup {
    let uses = [
        ("servers", cpu.servers_s),
        ("PostgreSQL", cpu.postgres_s),
        ("broker", cpu.broker_s),
        ("generator", Some(cpu.generator_s)),
    ];
    let percent = |seconds: f64| seconds / cpu.window_s.max(f64::MIN_POSITIVE) * 100.0;
    let known: Vec<_> =
        uses.into_iter().filter_map(|(name, seconds)| Some((name, percent(seconds?)))).collect();
    let most = known.iter().map(|(_, percent)| *percent).fold(f64::MIN_POSITIVE, f64::max);
    html! {
        table.bars {
            thead { tr { th scope="col" { "process" } th scope="col" { "share of one core" } } }
            tbody {
                @for (name, percent) in known {
                    tr {
                        th scope="row" { (name) }
                        td {
                            span.bar style=(format!("width:{:.1}%", percent / most * 75.0)) {}
                            " " (format!("{percent:.0} %"))
                        }
                    }
                }
            }
        }
        @if let Some(us) = cpu.servers_us_per_delivery {
            p.sum { "A delivery cost the servers " (format!("{us:.1}")) " µs." }
        }
    }
}

fn pairs(rows: &[(&str, String)]) -> Markup {
    html! {
        table.pairs { tbody {
            @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } }
        } }
    }
}
