//! Confidence levels, intervals, and estimates with an interval.
//!
//! Invariant: `low <= high`, and `level` is the requested level. If the method is exact, the true coverage is at least that.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::StatsError;

/// A two-sided confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end, included.
    pub low: f64,
    /// The upper end, included.
    pub high: f64,
    /// The nominal confidence, such as 0.95.
    pub level: f64,
}

impl Interval {
    /// Whether `value` lies inside, the ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The interval of an increasing function of the estimated quantity.
    pub(super) fn map(self, f: impl Fn(f64) -> f64) -> Interval {
        Interval { low: f(self.low), high: f(self.high), level: self.level }
    }
}

/// A point estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// The interval; `None` if there are too few values for the level.
    pub interval: Option<Interval>,
}

/// A confidence level strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Level(f64);

impl Level {
    /// 95 %, the level of every published interval.
    pub const P95: Level = Level(0.95);
    /// 98 %, the level of the equivalence verdict.
    pub const P98: Level = Level(0.98);

    /// A level such as 0.9.
    ///
    /// # Errors
    /// [`StatsError::Level`] when it is not strictly between 0 and 1.
    pub fn new(level: f64) -> Result<Level, StatsError> {
        if 0.0 < level && level < 1.0 { Ok(Level(level)) } else { Err(StatsError::Level(level)) }
    }

    /// The level as a number between 0 and 1.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The probability outside of the interval on one side, such as 0.025.
    pub(super) fn tail(self) -> f64 {
        (1.0 - self.0) / 2.0
    }

    /// The standard normal quantile of the upper end, such as 1.96.
    pub(super) fn z(self) -> f64 {
        Normal::standard().inverse_cdf(1.0 - self.tail())
    }

    /// The interval at this level.
    pub(super) fn interval(self, low: f64, high: f64) -> Interval {
        Interval { low, high, level: self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_lies_strictly_between_nothing_and_certainty() {
        assert!(Level::new(0.0).is_err() && Level::new(1.0).is_err() && Level::new(f64::NAN).is_err());
        assert_eq!(Level::new(0.95), Ok(Level::P95));
        assert!((Level::P95.z() - 1.959_963_984_540_054).abs() < 1e-12);
    }
}
