//! Grafana's dashboards. Their limits come from the budget, their colours and names from the hops.

mod claims;
mod colours;
mod dashboard;
mod dependencies;
mod load_test;
mod message_path;
mod panel;
mod promql;
mod servers;
mod target;
#[cfg(test)]
mod tests;

use super::File;
use crate::budget::Budget;
pub(crate) use colours::of as hop_colour;

/// All dashboards.
pub(crate) fn files(budget: &Budget) -> Vec<File> {
    let dashboards = [
        ("observability/grafana/dashboards/message-path.json", message_path::dashboard(budget)),
        ("observability/grafana/dashboards/servers.json", servers::dashboard()),
        ("observability/grafana/dashboards/load-test.json", load_test::dashboard(budget)),
    ];
    let file = |(path, dashboard): (&str, dashboard::Dashboard)| {
        let text = serde_json::to_string_pretty(&dashboard.into_json()).expect("JSON can be written");
        File { path: path.into(), text: text + "\n" }
    };
    dashboards.map(file).into()
}
