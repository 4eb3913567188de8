//! Why a statistic cannot be computed. Every variant names the offending value or count.

use thiserror::Error;

/// Why a statistic cannot be computed from the given data.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum StatsError {
    /// There is too little data for the statistic to be defined.
    #[error("{what}: {have} given, at least {need} needed")]
    TooFew {
        /// What is counted.
        what: &'static str,
        /// How many were given.
        have: usize,
        /// How many the statistic needs.
        need: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {index} is {value}, not a finite number")]
    NotFinite {
        /// Position in the input, from 0.
        index: usize,
        /// The value found there.
        value: f64,
    },
    /// A value that must be above zero (a ratio, a logarithm) is not.
    #[error("value {index} is {value}, not above zero")]
    NotPositive {
        /// Position in the input, from 0.
        index: usize,
        /// The value found there.
        value: f64,
    },
    /// A confidence level is not strictly between 0 and 1.
    #[error("confidence level {0} is not between 0 and 1")]
    Level(f64),
    /// No parameters within the bounds of a model were found to fit best.
    #[error("the {0} points do not follow the law")]
    NoFit(usize),
    /// A slowdown was asked of a metric of which neither direction is better.
    #[error("a neutral metric has no slowdown")]
    Neutral,
}
