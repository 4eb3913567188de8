//! Errors of statistics. Every variant names the invalid value or count.

use thiserror::Error;

/// Why a statistic cannot be computed from the given data.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum StatsError {
    /// There is too little data for the statistic to be defined.
    #[error("{what}: {have} given; expected at least {need}")]
    TooFew {
        /// What is counted.
        what: &'static str,
        /// The given number.
        have: usize,
        /// The least number that the statistic needs.
        need: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {index} is {value}; expected a finite number")]
    NotFinite {
        /// Position in the input, from 0.
        index: usize,
        /// The value found there.
        value: f64,
    },
    /// A value that must be above zero, for a ratio or a logarithm, is not.
    #[error("value {index} is {value}; expected a number above zero")]
    NotPositive {
        /// Position in the input, from 0.
        index: usize,
        /// The value found there.
        value: f64,
    },
    /// A confidence level is not strictly between 0 and 1.
    #[error("invalid confidence level {0}; expected a number between 0 and 1")]
    Level(f64),
    /// No parameters within the bounds of a model fit best.
    #[error("the {0} points do not follow the law")]
    NoFit(usize),
    /// The metric is neutral, so no direction of it is a slowdown.
    #[error("a neutral metric has no slowdown")]
    Neutral,
}
