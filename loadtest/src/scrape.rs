//! What servers say of themselves, where a command needs a figure or two of it.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval};

use crate::http::{self, ANSWER_LIMIT};

/// How often queues are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The sum of a metric over all servers, and over its series whose labels hold `label`. Fails if a server doesn't
/// answer, since a sum without it would look like a lower cost.
pub(crate) async fn sum(
    http: &reqwest::Client,
    admin: &[SocketAddr],
    name: &str,
    label: &str,
) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for addr in admin {
        sum += of_text(&text(http, *addr).await?, name, label);
    }
    Ok(sum)
}

/// Does some work, and looks meanwhile how high these metrics rise, each summed over all servers that answer.
pub(crate) async fn peaks<T, const N: usize>(
    admin: &[SocketAddr],
    names: [&str; N],
    work: impl Future<Output = T>,
) -> (T, [f64; N]) {
    let http = http::client(ANSWER_LIMIT);
    let mut peaks = [0.0_f64; N];
    let look = async {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut sums = [0.0; N];
            for addr in admin {
                let text = text(&http, *addr).await.unwrap_or_default();
                names.iter().zip(&mut sums).for_each(|(name, sum)| *sum += of_text(&text, name, ""));
            }
            peaks.iter_mut().zip(sums).for_each(|(peak, sum)| *peak = peak.max(sum));
        }
    };
    let result = tokio::select! {
        result = work => result,
        () = look => unreachable!("it looks for ever"),
    };
    (result, peaks)
}

/// All that a server says.
pub(crate) async fn text(http: &reqwest::Client, admin: SocketAddr) -> anyhow::Result<String> {
    let url = format!("http://{admin}/metrics");
    let answer = async { http.get(&url).send().await?.error_for_status()?.text().await };
    answer.await.with_context(|| format!("reading what a server says of itself at {url}"))
}

/// The sum of a metric over its series whose labels hold `label`.
pub(crate) fn of_text(text: &str, name: &str, label: &str) -> f64 {
    let series = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
    });
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_told_from_others_whose_names_begin_alike() {
        let text = "# TYPE b counter\nb{direction=\"in\"} 3\nb{direction=\"out\"} 4\nb_total 9\n";
        assert!((of_text(text, "b", "") - 7.0).abs() < 1e-9);
        assert!((of_text(text, "b", "direction=\"in\"") - 3.0).abs() < 1e-9);
    }
}
