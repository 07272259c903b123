//! What every dashboard must have. Some of the rules are those of Grafana's dashboard linter.

use std::collections::BTreeSet;

use hopline::hop::Hop;
use serde_json::Value;

use super::{colours, files};
use crate::budget::Budget;

fn dashboards() -> Vec<Value> {
    let files = files(&Budget::load(None).unwrap());
    files.iter().map(|file| serde_json::from_str(&file.text).unwrap()).collect()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter()
}

/// The panels that show data.
fn charts() -> Vec<Value> {
    let is_chart = |panel: &Value| !["row", "text"].contains(&text(panel, "type"));
    let all = dashboards();
    all.iter().flat_map(panels).filter(|panel| is_chart(panel)).cloned().collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn exprs(panel: &Value) -> Vec<&str> {
    let targets = panel["targets"].as_array().unwrap();
    targets.iter().filter_map(|target| target["expr"].as_str()).collect()
}

/// The panels that cover the same cell as another one, or leave the grid.
fn misplaced(dashboard: &Value) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut misplaced = Vec::new();
    for panel in panels(dashboard) {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        let mut cells = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y)));
        if x + w > 24 || cells.any(|cell| !taken.insert(cell)) {
            misplaced.push(text(panel, "title").to_owned());
        }
    }
    misplaced
}

#[test]
fn uids_and_panel_ids_are_unique_and_stay() {
    let all = dashboards();
    let uids: Vec<_> = all.iter().map(|dashboard| text(dashboard, "uid")).collect();
    assert_eq!(uids, ["hopline-message-path", "hopline-servers", "hopline-load-test"]);
    for dashboard in &all {
        let ids: BTreeSet<_> = panels(dashboard).map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels(dashboard).count());
    }
}

#[test]
fn no_panel_covers_another() {
    for mut dashboard in dashboards() {
        assert_eq!(misplaced(&dashboard), [""; 0]);
        dashboard["panels"][3]["gridPos"] = dashboard["panels"][2]["gridPos"].clone();
        assert_eq!(misplaced(&dashboard).len(), 1, "two panels at one place passed");
    }
}

#[test]
fn every_panel_says_what_it_is_and_in_which_unit() {
    for panel in charts() {
        let title = text(&panel, "title");
        assert!(!title.is_empty() && text(&panel, "description").len() > 20, "{panel:#}");
        assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{title} has no unit");
    }
    for dashboard in dashboards() {
        assert_eq!(text(&dashboard["panels"][0], "type"), "text", "a guide comes first");
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard).filter(|panel| text(panel, "type") != "row") {
            assert!(titles.insert(text(panel, "title")), "{} stands twice", text(panel, "title"));
        }
    }
}

#[test]
fn every_panel_asks_the_provisioned_sources_for_something_named() {
    for panel in charts() {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{} asks nothing", text(&panel, "title"));
        for target in targets {
            assert_eq!(target["datasource"], panel["datasource"]);
            let uid = text(&target["datasource"], "uid");
            assert!(["prometheus", "jaeger"].contains(&uid), "{uid}");
            let table = text(&panel, "type") == "table";
            assert!(uid == "jaeger" || table || !text(target, "legendFormat").is_empty(), "{target}");
        }
    }
}

#[test]
fn servers_are_chosen_by_job_and_node() {
    for dashboard in dashboards() {
        for variable in &dashboard["templating"]["list"].as_array().unwrap()[..2] {
            assert_eq!((&variable["multi"], &variable["includeAll"]), (&true.into(), &true.into()));
            assert_eq!((&variable["allValue"], &variable["refresh"]), (&".+".into(), &2.into()));
        }
    }
    for panel in charts() {
        for expr in exprs(&panel) {
            for selector in expr.replace("${job}", "$job").split('{').skip(1) {
                let chosen = selector.starts_with(r#"job=~"$job",node=~"$node""#)
                    || selector.starts_with(r#"job=~"$job-"#)
                    || ["job=\"", "job!=\"", "alertname="].iter().any(|start| selector.starts_with(start));
                assert!(chosen, "{}: {expr}", text(&panel, "title"));
            }
        }
    }
}

#[test]
fn a_counter_is_shown_as_a_rate_over_a_window_that_suits_the_scrape_interval() {
    for panel in charts() {
        for expr in exprs(&panel) {
            for (before, _) in expr.match_indices("_total{").map(|(at, _)| expr.split_at(at)) {
                let call = before.rfind('(').map_or("", |at| &before[..at]);
                assert!(call.ends_with("rate") || call.ends_with("increase"), "{expr}");
            }
            let windows = expr.split('[').skip(1).map(|rest| rest.split(']').next().unwrap());
            let burns = text(&panel, "title") == "Burn rate";
            for window in windows {
                let suits = ["$__rate_interval", "$__range"].contains(&window);
                assert!(suits || (burns && ["5m", "1h"].contains(&window)), "{expr}");
            }
        }
    }
}

#[test]
fn lines_stand_where_the_budget_says() {
    let budget = Budget::load(None).unwrap();
    let judged = budget.claims.iter().filter(|claim| claim.not_measured.is_none());
    let limits: Vec<_> = judged.filter_map(|claim| claim.latency).collect();
    let all = dashboards();
    let path = panels(&all[0]).collect::<Vec<_>>();
    for hop in Hop::ALL {
        let panel = path.iter().find(|panel| text(panel, "title") == hop.as_str()).unwrap();
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array();
        let lines: BTreeSet<_> =
            steps.into_iter().flatten().filter_map(|step| step["value"].as_f64()).map(f64::to_bits).collect();
        let wanted = limits.iter().filter(|limit| limit.hop == hop).map(|limit| limit.limit_ms / 1e3);
        assert_eq!(lines, wanted.map(f64::to_bits).collect(), "{}", hop.as_str());
    }
    for limit in &limits {
        let share = limit.percentile / 100.0;
        let figures = path.iter().filter(|panel| text(panel, "type") == "stat");
        let steps = figures.map(|panel| &panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]);
        assert!(steps.into_iter().any(|value| value.as_f64() == Some(share)), "nothing wants {share}");
    }
}

#[test]
fn a_stricter_budget_moves_the_lines() {
    let budget = |limit: f64| {
        let text = format!(
            "version = 1\ndecision = \"d\"\n[[claim]]\nid = \"x\"\nsentence = \"s\"\n\
             latency = {{ hop = \"persist\", percentile = 95.0, limit_ms = {limit:?} }}\n"
        );
        files(&Budget::parse(&text).unwrap()).swap_remove(0).text
    };
    let text = budget(20.0);
    assert!(text.contains("\"value\": 0.02") && text.contains("\"value\": 0.95"));
    assert!(text.contains(r#"le=\"0.02\""#) && text.contains("/ 0.05\""));
    assert!(!budget(30.0).contains("0.02"));
}

#[test]
fn a_hop_has_one_colour_and_no_other_has_it() {
    let colours: BTreeSet<_> = Hop::ALL.map(colours::of).into();
    assert_eq!(colours.len(), Hop::ALL.len());
    for panel in charts().iter().filter(|panel| text(panel, "type") == "bargauge") {
        let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
        for hop in Hop::CRITICAL_PATH {
            let of_hop = overrides.iter().find(|one| one["matcher"]["options"] == hop.as_str()).unwrap();
            assert_eq!(of_hop["properties"][0]["value"]["fixedColor"], colours::of(hop));
        }
    }
}
