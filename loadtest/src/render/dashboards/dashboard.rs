//! A dashboard: rows of panels, laid out from left to right.

use serde_json::{Value, json};

use super::panel::Panel;

/// Grafana's grid.
const COLUMNS: u32 = 24;

/// A dashboard.
#[derive(Debug)]
pub(super) struct Dashboard {
    /// It never changes: links lead to it.
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// What can be chosen beside job and node.
    pub(super) variables: Vec<Value>,
    /// What to look for.
    pub(super) guide: Panel,
    pub(super) rows: Vec<Row>,
}

/// Panels under a heading.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: Vec<Panel>,
}

/// Where the next panel goes.
#[derive(Default)]
struct Cursor {
    id: u32,
    x: u32,
    y: u32,
    /// The highest panel of the line.
    height: u32,
}

impl Cursor {
    fn place(&mut self, panel: Panel) -> Value {
        let (width, height) = (panel.width, panel.height);
        if self.x + width > COLUMNS {
            self.new_line();
        }
        self.id += 1;
        let placed = panel.into_json(self.id, self.x, self.y);
        self.x += width;
        self.height = self.height.max(height);
        placed
    }

    fn heading(&mut self, title: &str) -> Value {
        self.new_line();
        self.id += 1;
        let placed = json!({ "id": self.id, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": self.y, "w": COLUMNS, "h": 1 } });
        self.y += 1;
        placed
    }

    fn new_line(&mut self) {
        self.y += self.height;
        (self.x, self.height) = (0, 0);
    }
}

impl Dashboard {
    /// As Grafana reads it from a file.
    pub(super) fn into_json(self) -> Value {
        let mut cursor = Cursor::default();
        let mut panels = vec![cursor.place(self.guide)];
        for row in self.rows {
            panels.push(cursor.heading(row.title));
            panels.extend(row.panels.into_iter().map(|panel| cursor.place(panel)));
        }
        let mut variables = vec![
            from_prometheus("job", "Job", "label_values(hopline_build_info, job)"),
            from_prometheus("node", "Node", r#"label_values(hopline_build_info{job=~"$job"}, node)"#),
        ];
        variables.extend(self.variables);
        variables.push(jaeger_address());
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["hopline"],
            "schemaVersion": 42,
            "version": 1,
            "editable": false,
            "graphTooltip": 1,
            "refresh": "5s",
            "time": { "from": "now-15m", "to": "now" },
            "timezone": "browser",
            "annotations": { "list": [restarts()] },
            "links": links(),
            "templating": { "list": variables },
            "panels": panels,
        })
    }
}

fn from_prometheus(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query",
        "datasource": { "type": "prometheus", "uid": "prometheus" },
        "query": query, "definition": query, "refresh": 2, "sort": 1,
        "multi": true, "includeAll": true, "allValue": ".+",
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
    })
}

/// A choice among values, the first of which stands at the beginning.
pub(super) fn choice(name: &str, label: &str, values: &[&str]) -> Value {
    let options: Vec<Value> = (0..)
        .zip(values)
        .map(|(nth, value)| json!({ "selected": nth == 0, "text": value, "value": value }))
        .collect();
    json!({
        "name": name, "label": label, "type": "custom", "query": values.join(","),
        "current": options[0], "options": options,
    })
}

/// Hidden; a lab whose Jaeger listens elsewhere sets it with `?var-jaeger=…`.
fn jaeger_address() -> Value {
    let address = "http://127.0.0.1:16686";
    let option = json!({ "selected": true, "text": address, "value": address });
    json!({ "name": "jaeger", "label": "Jaeger", "type": "textbox", "hide": 2, "query": address,
        "current": option, "options": [option] })
}

/// Marks the moments at which servers started.
fn restarts() -> Value {
    json!({
        "name": "Server started", "enable": true, "iconColor": "#A0724A",
        "datasource": { "type": "prometheus", "uid": "prometheus" },
        "expr": r#"process_start_time_seconds{job=~"$job",node=~"$node"} * 1000"#,
        "useValueForTime": true, "titleFormat": "{{node}} started", "step": "15s",
    })
}

fn links() -> Value {
    let link = |kind: &str, title: &str, url: &str, tags: &[&str]| {
        json!({ "type": kind, "title": title, "url": url, "tags": tags, "icon": "external link", "tooltip": "",
            "asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": kind == "link" })
    };
    let mut jaeger = link("link", "Jaeger", "${jaeger}/search?service=hopline", &[]);
    (jaeger["includeVars"], jaeger["keepTime"]) = (false.into(), false.into());
    json!([link("dashboards", "Hopline", "", &["hopline"]), jaeger])
}
