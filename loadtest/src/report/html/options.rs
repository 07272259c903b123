//! The report of `adr --all` as a page.

use std::path::Path;

use maud::{Markup, html};

use super::{document, figure, percentiles, pictures::Curve, section, tables};
use crate::{
    options::{Trial, components},
    report::{
        OptionsReport,
        options::{HEADINGS, findings, row},
        terminal, write_file,
    },
};

/// Writes the page where it is wanted.
pub(crate) fn write_options(report: &OptionsReport, path: Option<&Path>) -> anyhow::Result<()> {
    path.map_or(Ok(()), |path| write_file(path, &page(report).into_string()))
}

fn page(report: &OptionsReport) -> Markup {
    let about = html! {
        p.about { (report.workload.rate_per_s) " messages/s, " (terminal::layout(&report.workload.layout)) "; "
            (report.rounds) " rounds of " (report.workload.duration.as_secs()) " s each, in turn. "
            (terminal::machine(&report.machine)) ", with everything on it." }
        @let invalid = report.invalid();
        @if !invalid.is_empty() {
            div.invalid { strong { "Some of it proves nothing:" } ul { @for why in &invalid { li { (why) } } } }
        }
    };
    let curves: Vec<Curve> =
        report.trials.iter().enumerate().filter_map(|(place, trial)| curve(place, trial)).collect();
    let content = html! {
        (section("options", "The options", "Times in ms, processor time in µs a message, memory in MiB. Of the \
            outage: all that runs between the servers is killed and started again after 3 s.", &table(report)))
        (figure("totals", "Total, by percentile", "Both axes are logarithmic.", &percentiles::chart(&curves, &[])))
        (section("verdicts", "Verdicts", "What the decision claims, and what was measured.",
            &tables::claims(&report.claims)))
    };
    document(&report.decision, report.result, &about, &content)
}

fn curve(place: usize, trial: &Trial) -> Option<Curve> {
    let total = trial.latencies.get(crate::options::total())?;
    Some(Curve::named(trial.broker.name(), format!("option-{}", place + 1), total))
}

fn table(report: &OptionsReport) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "option" }
                th scope="col" { "components" }
                @for title in HEADINGS { th.number scope="col" { (title) } }
                th.number scope="col" { "findings" }
            } }
            tbody { @for trial in &report.trials { tr {
                th scope="row" { (trial.broker.name()) }
                td { (components(trial.broker).join(", ")) }
                @for value in row(trial) { td.number { (value) } }
                td.number { (findings(trial)) }
            } } }
        } }
        @for name in &report.not_run {
            p.about { "Not run: " (name) "." }
        }
    }
}
