//! The report of `adr --all` as a page.

use std::path::Path;

use maud::{Markup, html};

use super::{document, figure, percentiles, pictures::Curve, section, tables};
use crate::{
    latency::Key,
    options::{Trial, broadcast, components, total},
    report::{
        OptionsReport,
        options::{FINDINGS, HEADINGS, findings, row},
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
    let curves = |of: Key| {
        let numbered = report.trials.iter().enumerate();
        let curves: Vec<Curve> = numbered.filter_map(|(place, trial)| curve(place, trial, of)).collect();
        percentiles::chart(&curves, &[])
    };
    let content = html! {
        (section("comparison", "The decision's own comparison", "What it says of the option that it chose and of the one that \
            it rejected, and what was measured.", &tables::comparison(&report.comparison)))
        (section("options", "All options", "Times in ms, processor time in µs a message, memory in MiB. Of the \
            outage: under a smaller load all that runs between the servers is killed and started again after 3 s.", &table(report)))
        div.columns {
            (figure("totals", "Total, by percentile", "Both axes are logarithmic.", &curves(total())))
            (figure("broadcasts", "Broadcast, by percentile", "From the commit, or from the relay, to the same server's \
                subscriber.", &curves(broadcast())))
        }
        (section("verdicts", "Verdicts", "What the decision claims, and what was measured.",
            &tables::claims(&report.claims)))
    };
    document(&report.decision, report.result, &about, &content)
}

fn curve(place: usize, trial: &Trial, of: Key) -> Option<Curve> {
    let series = trial.latencies.get(of)?;
    Some(Curve::named(trial.broker.name(), format!("option-{}", place + 1), series))
}

fn table(report: &OptionsReport) -> Markup {
    let columns: Vec<_> = report.trials.iter().map(row).collect();
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" {}
                @for trial in &report.trials { th.number scope="col" { (trial.broker.name()) } }
            } }
            tbody {
                @for (index, heading) in HEADINGS.iter().enumerate() { tr {
                    th scope="row" { (heading) }
                    @for column in &columns { td.number { (column[index]) } }
                } }
                tr {
                    th scope="row" { (FINDINGS) }
                    @for trial in &report.trials { td.number { (findings(trial)) } }
                }
                tr {
                    th scope="row" { "components" }
                    @for trial in &report.trials {
                        td.number { @for component in components(trial.broker) { div { (component) } } }
                    }
                }
            }
        } }
        @for name in &report.not_run {
            p.about { "Not run: " (name) "." }
        }
    }
}
