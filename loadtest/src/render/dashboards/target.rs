//! A query of a panel.

use serde_json::{Value, json};

/// What is asked of a data source.
#[derive(Clone, Debug)]
pub(super) struct Target {
    datasource: &'static str,
    query: Value,
}

impl Target {
    /// A query of Prometheus over time.
    pub(super) fn prometheus(legend: &str, expr: String) -> Self {
        let query = json!({ "editorMode": "code", "exemplar": false, "format": "time_series", "instant": false,
            "legendFormat": legend, "range": true });
        Self { datasource: "prometheus", query }.set("expr", expr.into())
    }

    /// A query of Prometheus that is asked once, for the end of the time shown.
    pub(super) fn once(legend: &str, expr: String) -> Self {
        Self::prometheus(legend, expr).set("instant", true.into()).set("range", false.into())
    }

    /// The traces of one service that hold a span longer than `$slower_than`. Without an operation, any span.
    pub(super) fn traces(service: &str, operation: Option<&str>) -> Self {
        let mut query = json!({ "queryType": "search", "service": service, "minDuration": "$slower_than",
            "limit": 50 });
        if let Some(operation) = operation {
            query["operation"] = json!(operation);
        }
        Self { datasource: "jaeger", query }
    }

    /// Asks for the exemplars as well.
    pub(super) fn exemplars(self) -> Self {
        self.set("exemplar", true.into())
    }

    /// Reads the answer as the buckets of a histogram.
    pub(super) fn heat(self) -> Self {
        self.set("format", "heatmap".into())
    }

    /// Reads the answer as a table.
    pub(super) fn rows(self) -> Self {
        self.set("format", "table".into())
    }

    fn set(mut self, name: &str, value: Value) -> Self {
        self.query[name] = value;
        self
    }

    /// The data source, by its fixed uid.
    pub(super) fn datasource(&self) -> Value {
        json!({ "type": self.datasource, "uid": self.datasource })
    }

    /// The query, named by a letter.
    pub(super) fn into_json(mut self, id: char) -> Value {
        self.query["datasource"] = self.datasource();
        self.query["refId"] = json!(id.to_string());
        self.query
    }
}
