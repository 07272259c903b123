//! The decision's table of comparison: what it says of both options, and what was measured of each.

use comfy_table::{Cell, Color, Table, presets};
use serde::Serialize;

use super::{Style, claims::judged_by, terminal::milliseconds};
use crate::{
    budget::{self, Comparison, Shown},
    lab::Broker,
    options::{Trial, components},
    verdict::{Judged, Verdict},
};

/// A row of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compared {
    /// What is compared.
    pub(crate) aspect: String,
    pub(crate) redis: Side,
    pub(crate) kafka: Side,
}

/// What is said of an option, and what was measured of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Side {
    /// The decision's own words.
    pub(crate) says: String,
    pub(crate) measured: String,
    /// Without one, no limit judges it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<Verdict>,
}

impl Side {
    /// What was measured, and the verdict.
    pub(super) fn text(&self) -> String {
        let verdict = self.verdict.map_or(String::new(), |verdict| format!(": {}", verdict.as_str()));
        format!("{}{verdict}", self.measured)
    }
}

/// The option that it chose, and the one that it rejected, as it describes them.
const REDIS: Broker = Broker::Redis;
const KAFKA: Broker = Broker::KafkaAsWritten;

/// All rows.
pub(crate) fn compare(rows: &[Comparison], claims: &[Judged], trials: &[Trial]) -> Vec<Compared> {
    let side = |cell: &budget::Cell, broker| {
        let judged = claims.iter().find(|judged| cell.claim.as_ref() == Some(&judged.claim.id));
        let trial = trials.iter().find(|trial| trial.broker == broker);
        let measured = match (judged, cell.shows) {
            (Some(judged), _) => judged_by(judged),
            (None, Some(Shown::Recovery)) => recovery(trial),
            (None, _) => components(broker).join(", "),
        };
        Side { says: cell.says.clone(), measured, verdict: judged.map(|judged| judged.verdict) }
    };
    let row = |row: &Comparison| Compared {
        aspect: row.aspect.clone(),
        redis: side(&row.redis, REDIS),
        kafka: side(&row.kafka, KAFKA),
    };
    rows.iter().map(row).collect()
}

/// No client does anything for it: the servers look for what is missing.
fn recovery(trial: Option<&Trial>) -> String {
    let Some(outage) = trial.and_then(|trial| trial.outage.as_ref()) else {
        return "not measured".to_owned();
    };
    match outage.figures.heal_ms {
        None => "the servers do it; when all had caught up can't be told from how late it is at any time"
            .to_owned(),
        Some(ms) if ms < 1.0 => "the servers do it: nothing is overdue when the outage ends".to_owned(),
        Some(ms) => format!("the servers do it: all caught up {} ms after the outage", milliseconds(ms)),
    }
}

pub(super) fn table(rows: &[Compared], style: Style) -> Table {
    let header = [
        "",
        "PostgreSQL + Redis",
        "measured (redis)",
        "PostgreSQL + Outbox + Kafka",
        "measured (as written)",
    ];
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY, &header);
    for row in rows {
        let mut cells = vec![Cell::new(&row.aspect)];
        for side in [&row.redis, &row.kafka] {
            cells.push(Cell::new(&side.says));
            cells.push(match side.verdict {
                Some(Verdict::Holds) => style.coloured(&side.text(), Color::Green),
                Some(Verdict::DoesNotHold) => style.coloured(&side.text(), Color::Red),
                Some(Verdict::NotMeasured) => style.coloured(&side.text(), Color::Yellow),
                None => Cell::new(side.text()),
            });
        }
        table.add_row(cells);
    }
    table
}
