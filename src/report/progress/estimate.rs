//! The time that is left: the plan's estimate, corrected by how long its trials really took.

use std::time::{Duration, Instant};

use crate::measure::plan::{Plan, PlannedTrial};
use crate::model::units::Nanos;

/// Learns from each trial that ends.
#[derive(Debug)]
pub(super) struct Estimate {
    began: Instant,
    /// The expected time of the trials that ended since.
    expected_of_done: Nanos,
    expected_of_rest: Nanos,
}

impl Default for Estimate {
    fn default() -> Self {
        Self { began: Instant::now(), expected_of_done: Nanos(0), expected_of_rest: Nanos(0) }
    }
}

impl Estimate {
    /// The estimate of a run that continues after `done` trials.
    pub(super) fn after(plan: &Plan, done: usize) -> Self {
        let rest = plan.trials.iter().skip(done).fold(Nanos(0), |sum, trial| sum + trial.estimate);
        Self { expected_of_rest: rest, ..Self::default() }
    }

    /// Learns that `trial` has ended.
    pub(super) fn learn(&mut self, trial: &PlannedTrial) {
        self.expected_of_done = self.expected_of_done + trial.estimate;
        self.expected_of_rest = self.expected_of_rest.saturating_sub(trial.estimate);
    }

    /// The time that is left.
    pub(super) fn rest(&self) -> Duration {
        let pace = match self.expected_of_done.0 {
            0 => 1.0,
            expected => self.began.elapsed().as_nanos() as f64 / expected as f64,
        };
        Duration::from_nanos((self.expected_of_rest.0 as f64 * pace) as u64)
    }
}

/// A span for people: `4 s`, `3 min 20 s`, `2 h 05 min`.
pub fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        let words = [4, 200, 7_500].map(|s| in_words(Duration::from_secs(s)));
        assert_eq!(words, ["4 s", "3 min 20 s", "2 h 05 min"]);
    }
}
