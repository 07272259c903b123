//! In which order rates are tried.

/// Confirmations that may fail before the search gives up.
const CONFIRMATIONS_MAX: u32 = 6;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Whether this rate holds.
    Try(f64),
    /// Whether it holds for longer, too.
    Confirm(f64),
    /// This one does; none if none was found.
    Done(Option<f64>),
}

/// Doubles the rate until it doesn't hold, then halves what is between, then confirms.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    from: f64,
    to: f64,
    /// The bounds are close enough when they are apart by this factor.
    precision: f64,
    /// The highest rate that held.
    low: Option<f64>,
    /// The lowest that didn't.
    high: Option<f64>,
    confirmed: Option<f64>,
    refuted: u32,
}

impl Search {
    pub(crate) fn new(from: f64, to: f64, precision_percent: u8) -> Self {
        let precision = 1.0 + f64::from(precision_percent) / 100.0;
        Self { from: from.min(to), to, precision, low: None, high: None, confirmed: None, refuted: 0 }
    }

    pub(crate) fn next(&self) -> Step {
        match (self.low, self.high) {
            _ if self.confirmed.is_some() => Step::Done(self.confirmed),
            _ if self.refuted >= CONFIRMATIONS_MAX => Step::Done(None),
            (Some(low), Some(high)) if self.refuted > 0 || high / low <= self.precision => Step::Confirm(low),
            (Some(low), Some(high)) => Step::Try((low * high).sqrt()),
            (Some(low), None) if low >= self.to => Step::Confirm(low),
            (Some(low), None) => Step::Try((low * 2.0).min(self.to)),
            (None, None) => Step::Try(self.from),
            (None, Some(high)) if high <= 1.0 => Step::Done(None),
            (None, Some(high)) => Step::Try((high / 2.0).floor().max(1.0)),
        }
    }

    /// What came of a step.
    pub(crate) fn tell(&mut self, step: Step, holds: bool) {
        match (step, holds) {
            (Step::Try(rate), true) => self.low = Some(rate),
            (Step::Try(rate), false) => self.high = Some(rate),
            (Step::Confirm(rate), true) => self.confirmed = Some(rate),
            (Step::Confirm(rate), false) => {
                self.refuted += 1;
                self.high = Some(rate);
                self.low = Some(rate / self.precision);
            }
            (Step::Done(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a system that holds up to a rate, and up to a part of it for longer.
    fn search(holds_to: f64, confirms_to: f64) -> (Option<f64>, usize) {
        let mut search = Search::new(200.0, 50_000.0, 5);
        for count in 0.. {
            let step = search.next();
            let holds = match step {
                Step::Try(rate) => rate <= holds_to,
                Step::Confirm(rate) => rate <= confirms_to,
                Step::Done(found) => return (found, count),
            };
            search.tell(step, holds);
        }
        unreachable!()
    }

    #[test]
    fn a_rate_is_found_within_the_precision() {
        for capacity in [3.0, 150.0, 500.0, 777.0, 4_321.0, 50_000.0] {
            let (found, stages) = search(capacity, capacity);
            let found = found.unwrap();
            assert!(found <= capacity && found * 1.06 >= capacity.floor() - 1.0, "{capacity}: {found}");
            assert!(stages <= 16, "{stages}");
        }
    }

    #[test]
    fn the_search_stops_at_its_limit() {
        assert_eq!(search(1e9, 1e9).0, Some(50_000.0));
    }

    #[test]
    fn what_is_not_confirmed_is_lowered_and_at_last_given_up() {
        let found = search(1_000.0, 900.0).0.unwrap();
        assert!((850.0..=900.0).contains(&found), "{found}");
        assert_eq!(search(1_000.0, 500.0).0, None);
        assert_eq!(search(0.5, 0.5).0, None);
    }
}
