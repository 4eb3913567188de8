//! The rule that decides whether a difference is a regression: blocks, confirmation, null control.
//!
//! Pure: differences in, verdicts out; no files, no clock, no randomness. Invariant: swapping the two arms mirrors every
//! verdict, and no verdict is based on fewer values than its test needs.

mod comparison;
mod judge;
mod thresholds;
mod verdict;

#[cfg(test)]
mod tests;

pub use comparison::{Comparison, Line, Side};
pub use judge::{Judge, Next, block_difference};
pub use thresholds::Rule;
pub use verdict::Decision;

pub use crate::model::comparison::{Stage, Verdict};
