//! The queries, put together from a metric, its labels and what is asked of it.

use std::fmt::Write;

/// Where a metric is scraped from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// The servers' `/metrics`.
    Servers,
    /// The servers' `/exemplars`.
    Exemplars,
    /// The load generator.
    LoadTest,
    /// PostgreSQL's exporter.
    Postgres,
    /// Redis' exporter.
    Redis,
}

impl Job {
    /// The other jobs are named after the servers' job, so that choosing one chooses all.
    const fn selector(self) -> &'static str {
        match self {
            Self::Servers => r#"job=~"$job",node=~"$node""#,
            Self::Exemplars => r#"job=~"${job}-exemplars",node=~"$node""#,
            Self::LoadTest => r#"job=~"${job}-loadtest""#,
            Self::Postgres => r#"job="postgres""#,
            Self::Redis => r#"job="redis""#,
        }
    }
}

/// A metric, or some of its series.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    job: Job,
    name: &'static str,
    labels: String,
}

/// A metric of the servers.
pub(super) const fn servers(name: &'static str) -> Metric {
    metric(Job::Servers, name)
}

/// A metric of the load generator.
pub(super) const fn load_test(name: &'static str) -> Metric {
    metric(Job::LoadTest, name)
}

/// A metric of any job.
pub(super) const fn metric(job: Job, name: &'static str) -> Metric {
    Metric { job, name, labels: String::new() }
}

/// What Grafana makes of the panel's width and the scrape interval.
const WINDOW: &str = "$__rate_interval";

impl Metric {
    /// Only the series with this label.
    pub(super) fn with(self, label: &str, value: &str) -> Self {
        self.labelled(label, "=", value)
    }

    /// Only the series whose label matches this pattern.
    pub(super) fn matching(self, label: &str, pattern: &str) -> Self {
        self.labelled(label, "=~", pattern)
    }

    fn labelled(mut self, label: &str, operator: &str, value: &str) -> Self {
        write!(self.labels, r#",{label}{operator}"{value}""#).expect("a text can be written to");
        self
    }

    fn series(&self, suffix: &str, more: &str) -> String {
        format!("{}{suffix}{{{}{}{more}}}", self.name, self.job.selector(), self.labels)
    }

    /// The value, summed over all labels but these.
    pub(super) fn sum(&self, by: &str) -> String {
        sum(by, &self.series("", ""))
    }

    /// How fast a counter grows in a second, summed over all labels but these.
    pub(super) fn rate(&self, by: &str) -> String {
        sum(by, &format!("rate({}[{WINDOW}])", self.series("", "")))
    }

    /// How many durations a histogram takes in a second.
    pub(super) fn count_rate(&self, by: &str) -> String {
        sum(by, &format!("rate({}[{WINDOW}])", self.series("_count", "")))
    }

    /// A percentile of a histogram.
    pub(super) fn percentile(&self, percentile: f64) -> String {
        format!("histogram_quantile({}, {})", percentile / 100.0, self.buckets("rate"))
    }

    /// A histogram's buckets, for a heat map.
    pub(super) fn heat(&self) -> String {
        self.buckets("increase")
    }

    fn buckets(&self, function: &str) -> String {
        sum("le", &format!("{function}({}[{WINDOW}])", self.series("_bucket", "")))
    }

    /// The mean of a histogram over a window, by these labels.
    pub(super) fn mean_over(&self, by: &str, window: &str) -> String {
        let part = |suffix| sum(by, &format!("rate({}[{window}])", self.series(suffix, "")));
        format!("{} / {}", part("_sum"), part("_count"))
    }

    /// The mean of a histogram, by these labels.
    pub(super) fn mean(&self, by: &str) -> String {
        self.mean_over(by, WINDOW)
    }

    /// The share of a histogram's durations that are at most `limit_ms`, which must be one of its bounds.
    pub(super) fn share_within(&self, limit_ms: f64, window: &str) -> String {
        let part = |suffix, more: &str| sum("", &format!("rate({}[{window}])", self.series(suffix, more)));
        format!("{} / {}", part("_bucket", &format!(",{}", le(limit_ms))), part("_count", ""))
    }
}

/// Prometheus 3 spells whole bounds otherwise than version 2: `1.0`, where that has `1`.
fn le(limit_ms: f64) -> String {
    let seconds = (limit_ms / 1_000.0).to_string();
    if seconds.contains('.') {
        return format!(r#"le="{seconds}""#);
    }
    format!(r#"le=~"{seconds}(\\.0)?""#)
}

fn sum(by: &str, what: &str) -> String {
    if by.is_empty() { format!("sum({what})") } else { format!("sum by ({by}) ({what})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_finds_its_bucket_however_prometheus_spells_it() {
        let share = servers("x").with("hop", "send").share_within(1.0, "5m");
        assert_eq!(
            share,
            r#"sum(rate(x_bucket{job=~"$job",node=~"$node",hop="send",le="0.001"}[5m])) / sum(rate(x_count{job=~"$job",node=~"$node",hop="send"}[5m]))"#
        );
        assert_eq!(le(2_000.0), r#"le=~"2(\\.0)?""#);
    }
}
