//! The report of `drill` as a page: each drill's latency over time, with what was broken shaded.

use std::path::Path;

use maud::{Markup, html};

use super::{badge, document, figure, heat_map, over_time, section};
use crate::report::{
    DrillReport, DrillsReport,
    terminal::{self, milliseconds},
    write_file,
};

/// Writes the page where it is wanted.
pub(crate) fn write_drills(report: &DrillsReport, path: Option<&Path>) -> anyhow::Result<()> {
    path.map_or(Ok(()), |path| write_file(path, &page(report).into_string()))
}

fn page(report: &DrillsReport) -> Markup {
    let about = html! { p.about { (terminal::machine(&report.machine)) } };
    let content = html! {
        (section("drills", "All drills", "Something is broken under load; everything acknowledged must still \
            arrive, once and in order.", &table(report)))
        @for drill in &report.drills { (of(drill)) }
    };
    document("Drills", report.result, &about, &content)
}

fn table(report: &DrillsReport) -> Markup {
    let ms = |ms: Option<f64>| ms.map_or("–".to_owned(), milliseconds);
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "drill" }
                th scope="col" { "" }
                @for title in ["detected, ms", "healed, ms", "p99 before, ms", "p99 in it, ms", "late", "refused",
                    "sent again", "reconnected", "acknowledged", "in the fault", "findings"] {
                    th.number scope="col" { (title) }
                }
            } }
            tbody { @for drill in &report.drills {
                @let figures = &drill.figures;
                tr {
                    th scope="row" { (drill.name) }
                    td { (badge(drill.result)) }
                    @for ms in [ms(figures.detect_ms), ms(figures.heal_ms), ms(figures.quiet_p99_ms),
                        ms(figures.fault_p99_ms)] { td.number { (ms) } }
                    @for count in [figures.late, figures.refused.values().sum(), figures.sent_again,
                        figures.reconnections, figures.acknowledged, figures.sent_in_fault,
                        drill.audit.findings.values().sum()] { td.number { (count) } }
                }
            } }
        } }
    }
}

fn of(drill: &DrillReport) -> Markup {
    let about =
        drill.sabotage.map_or_else(|| drill.breaks.clone(), |also| format!("{}; and {also}", drill.breaks));
    html! {
        (figure(&format!("{}-over-time", drill.name), drill.name, &about, &over_time::total(&drill.timeline)))
        (figure(&format!("{}-heat-map", drill.name), "Total, by second and latency", "The darker, the more deliveries.",
            &heat_map::chart(&drill.timeline)))
        (section(&format!("{}-checks", drill.name), "What had to hold", "", &html! {
            table { tbody { @for check in &drill.checks { tr {
                th scope="row" { (check.what) }
                td { (check.measured) }
                td { span class=(if check.holds { "badge good" } else { "badge bad" }) {
                    (if check.holds { "holds" } else { "does not hold" })
                } }
            } } } }
            @if !drill.invalid.is_empty() { ul { @for why in &drill.invalid { li { (why) } } } }
        }))
    }
}
