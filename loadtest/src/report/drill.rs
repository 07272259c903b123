//! The report of `drill`.

use std::{fmt::Write, time::Duration};

use comfy_table::{Cell, Color, ColumnConstraint, Table, presets};
use serde::Serialize;

use super::{
    Conclusion, Report, Style, Timeline,
    terminal::{layout, line, machine, milliseconds, right},
};
use crate::{
    audit::Audit,
    drill::{Bound, Check, Drill, Drilled, Figures, Manner, Window, reasons},
    machine::Machine,
    plan::Workload,
    soak::Soaked,
};

/// Of a soak, whatever breaks.
const SOAK_HEALED_MAX: Duration = Duration::from_secs(5);

/// The report of all drills that were carried out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DrillsReport {
    /// How it ended: as the worst of them.
    pub(crate) result: Conclusion,
    pub(crate) machine: Machine,
    pub(crate) drills: Vec<DrillReport>,
    /// Those that couldn't be carried out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_run: Vec<NotRun>,
}

/// A drill that couldn't be carried out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NotRun {
    pub(crate) name: &'static str,
    pub(crate) why: String,
    /// Something went wrong, rather than that the machine doesn't allow it.
    pub(crate) is_wrong: bool,
}

/// What became of one drill.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DrillReport {
    pub(crate) name: &'static str,
    pub(crate) result: Conclusion,
    /// What was broken.
    pub(crate) breaks: String,
    /// What was broken beside that, so that the drill fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sabotage: Option<&'static str>,
    pub(crate) workload: Workload,
    pub(crate) faults: Vec<FaultWindow>,
    pub(crate) figures: Figures,
    /// What had to hold.
    pub(crate) checks: Vec<Check>,
    /// What showed the faults.
    pub(crate) signs: Vec<ShownSign>,
    pub(crate) audit: Audit,
    /// Why it proves nothing; empty if it is valid.
    pub(crate) invalid: Vec<String>,
    /// What the page draws.
    #[serde(skip)]
    pub(crate) timeline: Timeline,
}

/// A time in which something was broken, in seconds from the first message.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FaultWindow {
    pub(crate) label: String,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
}

/// Something that showed a fault, and how often.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShownSign {
    pub(crate) sign: String,
    pub(crate) count: f64,
}

impl DrillsReport {
    pub(crate) fn of(drills: Vec<DrillReport>, not_run: Vec<NotRun>, machine: Machine) -> Self {
        let any = |result| drills.iter().any(|drill| drill.result == result);
        let passes_in_spite =
            |drill: &DrillReport| drill.sabotage.is_some() && drill.result != Conclusion::Fail;
        let result = if drills.iter().any(passes_in_spite) {
            // Its check can't fail.
            Conclusion::Invalid
        } else if any(Conclusion::Fail) {
            Conclusion::Fail
        } else if any(Conclusion::Invalid) || drills.is_empty() || not_run.iter().any(|it| it.is_wrong) {
            Conclusion::Invalid
        } else {
            Conclusion::Pass
        };
        Self { result, machine, drills, not_run }
    }
}

impl DrillReport {
    pub(crate) fn of(drill: &Drill, manner: &Manner, drilled: Drilled) -> Self {
        let Drilled { figures, outcome, .. } = &drilled;
        let checks = drill.bounds.iter().map(|bound| bound.check(figures, &outcome.trouble)).collect();
        let invalid = reasons(&drilled, manner.quick);
        let sabotage = manner.sabotage.then(|| drill.sabotage.as_str());
        Self { sabotage, ..Self::new(drill.name, drill.breaks.to_owned(), checks, invalid, drilled) }
    }

    pub(crate) fn of_soak(Soaked { drilled, checks, invalid: unknown }: Soaked, seed: u64) -> Self {
        let healed = Bound::Healed(SOAK_HEALED_MAX).check(&drilled.figures, &drilled.outcome.trouble);
        let checks = std::iter::once(healed).chain(checks).collect();
        let invalid = unknown.into_iter().chain(reasons(&drilled, false)).collect();
        let breaks = format!("something at random each minute, with the seed {seed}");
        Self::new("soak", breaks, checks, invalid, drilled)
    }

    fn new(
        name: &'static str,
        breaks: String,
        checks: Vec<Check>,
        invalid: Vec<String>,
        drilled: Drilled,
    ) -> Self {
        let Drilled { workload, outcome, audit, windows, figures, seen, .. } = drilled;
        let settled = Check {
            what: "every publish is acknowledged in the end".to_owned(),
            measured: format!("{} are not", figures.unsettled),
            holds: figures.unsettled == 0,
        };
        let checks: Vec<Check> = std::iter::once(settled).chain(checks).collect();
        let signs = seen.iter().map(|seen| ShownSign { sign: seen.sign.text(), count: seen.count });
        Self {
            name,
            result: conclusion(&invalid, &audit, figures.unsettled, &checks),
            breaks,
            sabotage: None,
            workload,
            faults: windows.iter().map(FaultWindow::of).collect(),
            figures,
            checks,
            signs: signs.collect(),
            audit,
            invalid,
            timeline: Timeline::of(&outcome).with_faults(&windows),
        }
    }

    /// What doesn't hold, and why it proves nothing.
    pub(super) fn complaints(&self) -> impl Iterator<Item = String> {
        let failed = self.checks.iter().filter(|check| !check.holds);
        let failed = failed.map(|check| format!("{}: {}", check.what, check.measured));
        let examples = self.audit.examples.iter().take(3).map(ToString::to_string);
        failed.chain(examples).chain(self.invalid.iter().map(|why| format!("invalid: {why}")))
    }
}

impl FaultWindow {
    fn of(window: &Window) -> Self {
        let seconds = |us: u32| f64::from(us) / 1e6;
        Self { label: window.label.clone(), from_s: seconds(window.us.start), to_s: seconds(window.us.end) }
    }
}

/// What the audit found, and publishes that were never settled, stand even if the drill is invalid otherwise.
fn conclusion(invalid: &[String], audit: &Audit, unsettled: u64, checks: &[Check]) -> Conclusion {
    match Conclusion::of(invalid, audit, &[]) {
        _ if unsettled > 0 => Conclusion::Fail,
        Conclusion::Pass if checks.iter().any(|check| !check.holds) => Conclusion::Fail,
        otherwise => otherwise,
    }
}

impl Report for DrillsReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        line(&mut text, "Machine", &machine(&self.machine));
        if let Some(drill) = self.drills.first() {
            let load = format!(
                "{} messages/s to the servers of a lab; {}",
                drill.workload.rate_per_s,
                layout(&drill.workload.layout)
            );
            line(&mut text, "Load", &format!("{load} (the first drill's)"));
        }
        let _ = writeln!(text, "\n{}", table(&self.drills, style));
        for drill in &self.drills {
            // Of many drills only what is wrong.
            for check in drill.checks.iter().filter(|check| check.holds && self.drills.len() == 1) {
                let _ = writeln!(text, "{}: {}: {}", drill.name, check.what, check.measured);
            }
            for complaint in drill.complaints() {
                let _ = writeln!(text, "{}: {complaint}", drill.name);
            }
        }
        for NotRun { name, why, .. } in &self.not_run {
            let _ = writeln!(text, "{name}: not run: {why}");
        }
        let _ = writeln!(text, "\n{}", self.result.as_str());
        text
    }
}

fn table(drills: &[DrillReport], style: Style) -> Table {
    let header = [
        "times in ms",
        "",
        "detected",
        "healed",
        "p99 before",
        "p99 in it",
        "late",
        "refused",
        "sent again",
        "reconnected",
        "recovered",
        "acknowledged",
        "in the fault",
        "findings",
    ];
    let mut table = style.table(presets::NOTHING, &header);
    for drill in drills {
        table.add_row(row(drill, style));
    }
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

fn row(drill: &DrillReport, style: Style) -> Vec<Cell> {
    let figures = &drill.figures;
    let ms = |ms: Option<f64>| right(&ms.map_or("–".into(), milliseconds));
    let whole = |ms: Option<f64>| right(&ms.map_or("–".into(), |ms| format!("{ms:.0}")));
    let count = |count: u64| right(&count.to_string());
    let colour = match drill.result {
        Conclusion::Pass => Color::Green,
        Conclusion::Fail => Color::Red,
        Conclusion::Invalid => Color::Yellow,
    };
    vec![
        Cell::new(drill.name),
        style.coloured(drill.result.as_str(), colour),
        whole(figures.detect_ms),
        whole(figures.heal_ms),
        ms(figures.quiet_p99_ms),
        ms(figures.fault_p99_ms),
        count(figures.late),
        count(figures.refused.values().sum()),
        count(figures.sent_again),
        count(figures.reconnections),
        whole(figures.recovery_max_ms),
        count(figures.acknowledged),
        count(figures.sent_in_fault),
        count(drill.audit.findings.values().sum()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_passes_if_it_is_valid_and_everything_holds() {
        let check = |holds| [Check { what: String::new(), measured: String::new(), holds }];
        let (valid, invalid, clean) = ([], ["too little was exercised".to_owned()], Audit::default());
        let lost = Audit { findings: [("lost", 1)].into(), ..Audit::default() };
        assert_eq!(conclusion(&valid, &clean, 0, &check(true)), Conclusion::Pass);
        assert_eq!(conclusion(&valid, &clean, 0, &check(false)), Conclusion::Fail);
        assert_eq!(conclusion(&invalid, &clean, 0, &check(false)), Conclusion::Invalid);
        assert_eq!(conclusion(&invalid, &clean, 1, &check(true)), Conclusion::Fail);
        assert_eq!(conclusion(&invalid, &lost, 0, &check(true)), Conclusion::Fail);
    }

    #[test]
    fn the_worst_drill_decides_and_one_that_went_wrong_proves_nothing() {
        let machine = || Machine::describe(None);
        let not_run = |is_wrong| vec![NotRun { name: "disk-full", why: String::new(), is_wrong }];
        assert_eq!(DrillsReport::of(Vec::new(), not_run(true), machine()).result, Conclusion::Invalid);
        assert_eq!(DrillsReport::of(Vec::new(), not_run(false), machine()).result, Conclusion::Invalid);
    }
}
