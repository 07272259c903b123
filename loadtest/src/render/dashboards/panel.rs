//! A panel, as Grafana's JSON has it.

use serde_json::{Value, json};

use super::{colours, target::Target};

/// A panel. Its place comes from the dashboard that it is put on.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    kind: &'static str,
    title: String,
    description: String,
    unit: &'static str,
    /// Columns, of 24.
    pub(super) width: u32,
    /// Rows of 30 pixels.
    pub(super) height: u32,
    targets: Vec<Target>,
    options: Value,
    custom: Value,
    defaults: Value,
    overrides: Vec<Value>,
}

/// The usual size: three side by side.
const WIDTH: u32 = 8;
const HEIGHT: u32 = 8;

impl Panel {
    fn new(kind: &'static str, title: &str, unit: &'static str, description: &str) -> Self {
        Self {
            kind,
            title: title.to_owned(),
            description: description.to_owned(),
            unit,
            width: WIDTH,
            height: HEIGHT,
            targets: Vec::new(),
            options: json!({}),
            custom: json!({}),
            defaults: json!({}),
            overrides: Vec::new(),
        }
    }

    /// Lines over time.
    pub(super) fn lines(title: &str, unit: &'static str, description: &str) -> Self {
        let mut panel = Self::new("timeseries", title, unit, description);
        panel.options = json!({
            "legend": { "calcs": ["mean", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true },
            "tooltip": { "mode": "multi", "sort": "desc" },
        });
        panel.custom = json!({
            "drawStyle": "line",
            "fillOpacity": 0,
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "showPoints": "never",
            "spanNulls": false,
        });
        panel.defaults = json!({ "min": 0 });
        panel
    }

    /// Durations over time, on a logarithmic axis: some hops take microseconds, others milliseconds.
    pub(super) fn durations(title: &str, description: &str) -> Self {
        let mut panel = Self::lines(title, "s", description);
        panel.custom["scaleDistribution"] = json!({ "type": "log", "log": 10 });
        panel.defaults = json!({});
        let dashed = json!({ "fill": "dash", "dash": [6, 4] });
        panel.overrides.push(colours::matching("p50$", "custom.lineStyle", &dashed));
        panel
    }

    /// One figure for each query.
    pub(super) fn figures(title: &str, unit: &'static str, description: &str) -> Self {
        let mut panel = Self::new("stat", title, unit, description);
        panel.options = json!({
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "percentChangeColorMode": "standard",
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "showPercentChange": false,
            "textMode": "auto",
            "wideLayout": true,
        });
        panel
    }

    /// One bar for each query.
    pub(super) fn bars(title: &str, unit: &'static str, description: &str) -> Self {
        let mut panel = Self::new("bargauge", title, unit, description);
        panel.options = json!({
            "displayMode": "basic",
            "legend": { "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": false },
            "maxVizHeight": 300,
            "minVizHeight": 16,
            "minVizWidth": 8,
            "namePlacement": "auto",
            "orientation": "horizontal",
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "showUnfilled": true,
            "sizing": "auto",
            "valueMode": "color",
        });
        panel.defaults = json!({ "min": 0 });
        panel
    }

    /// A histogram over time, with its exemplars as dots.
    pub(super) fn heat(title: &str, description: &str) -> Self {
        let mut panel = Self::new("heatmap", title, "s", description);
        panel.options = json!({
            "calculate": false,
            "cellGap": 1,
            "color": { "mode": "scheme", "scheme": "Viridis", "exponent": 0.5, "fill": "dark-orange",
                "reverse": false, "scale": "exponential", "steps": 64 },
            "exemplars": { "color": "#FF5CD6" },
            "filterValues": { "le": 1e-9 },
            "legend": { "show": true },
            "rowsFrame": { "layout": "auto" },
            "showValue": "never",
            "tooltip": { "mode": "single", "showColorScale": true, "yHistogram": true },
            "yAxis": { "axisPlacement": "left", "reverse": false, "unit": "s" },
        });
        panel
    }

    /// States over time.
    pub(super) fn states(title: &str, description: &str) -> Self {
        let mut panel = Self::new("state-timeline", title, "short", description);
        panel.options = json!({
            "alignValue": "left",
            "legend": { "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": false },
            "mergeValues": true,
            "rowHeight": 0.8,
            "showValue": "never",
            "tooltip": { "mode": "single", "sort": "none" },
        });
        panel.defaults = json!({ "color": { "mode": "thresholds" } });
        panel
    }

    /// Rows and columns.
    pub(super) fn table(title: &str, unit: &'static str, description: &str) -> Self {
        let mut panel = Self::new("table", title, unit, description);
        panel.options = json!({ "cellHeight": "sm", "frameIndex": 0, "showHeader": true });
        panel
    }

    /// Text over the whole width, in Markdown.
    pub(super) fn text(title: &str, markdown: &str, height: u32) -> Self {
        let mut panel = Self::new("text", title, "", "How to read this dashboard.").size(24, height);
        panel.options = json!({ "mode": "markdown", "content": markdown });
        panel
    }

    /// Its width in columns of 24, and its height in rows of 30 pixels.
    pub(super) fn size(mut self, width: u32, height: u32) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    /// Adds a query of Prometheus over time. Its series are named `legend`.
    pub(super) fn query(self, legend: &str, expr: String) -> Self {
        self.target(Target::prometheus(legend, expr))
    }

    /// Adds a query.
    pub(super) fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Draws all in one colour.
    pub(super) fn colour(mut self, colour: &str) -> Self {
        self.defaults["color"] = colours::fixed(colour);
        self
    }

    /// Colours the series by the hops that they are named after.
    pub(super) fn hop_colours(mut self) -> Self {
        self.overrides.extend(colours::by_hop());
        self
    }

    /// Sets one property of some series.
    pub(super) fn with(mut self, property: Value) -> Self {
        self.overrides.push(property);
        self
    }

    /// Sets an option of this kind of panel.
    pub(super) fn option(mut self, name: &str, value: Value) -> Self {
        self.options[name] = value;
        self
    }

    /// Puts the series on top of one another.
    pub(super) fn stacked(mut self) -> Self {
        self.custom["stacking"] = json!({ "mode": "normal", "group": "A" });
        self.custom["fillOpacity"] = json!(60);
        self
    }

    /// Draws a line at each limit, and keeps it in sight.
    pub(super) fn limits(mut self, limits: &[f64]) -> Self {
        let Some(highest) = limits.iter().copied().reduce(f64::max) else { return self };
        self.custom["thresholdsStyle"] = json!({ "mode": "dashed" });
        self.custom["axisSoftMax"] = json!(highest * 1.5);
        self.thresholds("transparent", &limits.iter().map(|limit| (*limit, colours::BAD)).collect::<Vec<_>>())
    }

    /// Bad below the limit, good from it on.
    pub(super) fn at_least(self, limit: f64) -> Self {
        self.thresholds(colours::BAD, &[(limit, colours::GOOD)])
    }

    fn thresholds(mut self, base: &str, steps: &[(f64, &str)]) -> Self {
        let mut all = vec![json!({ "value": null, "color": base })];
        all.extend(steps.iter().map(|(value, colour)| json!({ "value": value, "color": colour })));
        self.defaults["thresholds"] = json!({ "mode": "absolute", "steps": all });
        self
    }

    /// The highest value that makes sense, such as 1 for a share.
    pub(super) fn max(mut self, max: f64) -> Self {
        self.defaults["max"] = json!(max);
        self
    }

    /// The panel at its place.
    pub(super) fn into_json(mut self, id: u32, x: u32, y: u32) -> Value {
        let place = json!({ "x": x, "y": y, "w": self.width, "h": self.height });
        if self.kind == "text" {
            return json!({ "id": id, "type": "text", "title": self.title, "description": self.description,
                "gridPos": place, "options": self.options });
        }
        self.defaults["unit"] = json!(self.unit);
        if self.custom != json!({}) {
            self.defaults["custom"] = self.custom;
        }
        let datasource = self.targets.first().map(Target::datasource);
        let targets: Vec<Value> =
            ('A'..).zip(self.targets).map(|(id, target)| target.into_json(id)).collect();
        json!({
            "id": id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "gridPos": place,
            "datasource": datasource,
            "targets": targets,
            "options": self.options,
            "fieldConfig": { "defaults": self.defaults, "overrides": self.overrides },
        })
    }
}
