//! When a claim's error budget is used up too fast: alerts with several windows and several burn rates.

use crate::budget::{LatencyLimit, Pace};

/// The windows below are made for this period.
const PERIOD_DAYS: u64 = 30;

/// Burn rates, each with a long window, in which so much of the budget is gone that it matters, and a short
/// one, that ends the alert when the trouble has ended: factor, long and short in seconds, severity.
const BURNS: [(f64, u64, u64, &str); 4] = [
    (14.4, 3_600, 300, "critical"),
    (6.0, 21_600, 1_800, "critical"),
    (3.0, 86_400, 7_200, "warning"),
    (1.0, 259_200, 21_600, "warning"),
];

/// The budget is used up `factor` times too fast.
const BURNING: &str = "HoplineLatencyBudgetBurn";
/// The claim does not hold in the windows.
const BROKEN: &str = "HoplineLatencyClaimBroken";

/// An alert on a claim.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert {
    pub(super) name: &'static str,
    /// How many times faster than evenly the error budget is used up.
    pub(super) factor: f64,
    /// The error budget: which share may lie beyond the limit.
    pub(super) budget: f64,
    pub(super) long_s: u64,
    pub(super) short_s: u64,
    pub(super) severity: &'static str,
}

impl Alert {
    /// Which share must lie beyond the limit, in both windows.
    pub(super) fn share(&self) -> f64 {
        self.factor * self.budget
    }

    /// Whether it says that the claim does not hold, whatever that means for its error budget.
    pub(super) fn is_broken(&self) -> bool {
        self.name == BROKEN
    }
}

/// The alerts on a claim at a pace, the fastest first.
///
/// A share can't exceed 1, so no budget of half of all figures is used up 14.4 times too fast: what can't
/// happen gets no alert. In its place, one on the shortest windows says that the claim does not hold there.
pub(super) fn alerts(limit: &LatencyLimit, pace: &Pace) -> Vec<Alert> {
    let budget = limit.error_budget();
    let scaled = |seconds: u64| seconds * u64::from(pace.period_days) / PERIOD_DAYS;
    let alert = |name, factor, (_, long_s, short_s, severity): (f64, u64, u64, &'static str)| Alert {
        name,
        factor,
        budget,
        long_s: scaled(long_s),
        short_s: scaled(short_s),
        severity,
    };
    let (possible, impossible): (Vec<_>, Vec<_>) =
        BURNS.into_iter().map(|burn| alert(BURNING, burn.0, burn)).partition(|alert| alert.share() < 1.0);
    let broken = impossible.first().map(|_| Alert { severity: "warning", ..alert(BROKEN, 1.0, BURNS[0]) });
    broken.into_iter().chain(possible).collect()
}

/// A window as Prometheus spells it, in the greatest unit that divides it.
pub(super) fn window(seconds: u64) -> String {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let unit = units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

#[cfg(test)]
mod tests {
    use hopline::hop::Hop;

    use super::*;

    fn of(percentile: f64, period_days: u32) -> Vec<Alert> {
        let limit =
            LatencyLimit { hop: Hop::Total, origin: None, recipient: None, percentile, limit_ms: 1.0 };
        alerts(&limit, &Pace { name: "p".into(), period_days })
    }

    #[test]
    fn an_alert_fires_when_this_share_of_the_periods_budget_is_gone() {
        for days in [2, 30] {
            let period_s = f64::from(days) * 86_400.0;
            for (alert, gone) in of(99.0, days).iter().zip([0.02, 0.05, 0.1, 0.1]) {
                let used = alert.factor * alert.long_s as f64 / period_s;
                assert!((used - gone).abs() < 1e-9, "{alert:?}");
                assert_eq!(alert.long_s, 12 * alert.short_s);
            }
        }
    }

    #[test]
    fn windows_shrink_with_the_period() {
        let windows = |days| of(99.0, days).iter().map(|alert| window(alert.long_s)).collect::<Vec<_>>();
        assert_eq!(windows(30), ["1h", "6h", "1d", "3d"]);
        assert_eq!(windows(2), ["4m", "24m", "96m", "288m"]);
        assert_eq!(window(of(99.0, 2)[0].short_s), "20s");
    }

    #[test]
    fn what_cant_happen_gets_no_alert_and_the_claim_one_of_its_own() {
        let names = |percentile| of(percentile, 30).iter().map(|a| (a.name, a.factor)).collect::<Vec<_>>();
        assert_eq!(names(50.0), [(BROKEN, 1.0), (BURNING, 1.0)]);
        assert_eq!(names(90.0), [(BROKEN, 1.0), (BURNING, 6.0), (BURNING, 3.0), (BURNING, 1.0)]);
        assert_eq!(names(99.0).len(), 4);
        assert!(of(50.0, 30)[0].is_broken() && of(50.0, 30)[0].severity == "warning");
    }
}
