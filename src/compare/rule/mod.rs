//! When a difference is a regression: blocks, confirmation, null control (methodology, section 5).
//!
//! Pure: differences in, verdicts out; no files, no clock, no randomness. Invariant: swapping the two arms mirrors every
//! verdict, and no verdict stands on fewer values than its test can decide on.

mod comparison;
mod judge;
mod rule;
mod verdict;

#[cfg(test)]
mod tests;

pub use comparison::{Comparison, Line, Side};
pub use judge::{Judge, Next, block_difference};
pub use rule::Rule;
pub use verdict::Decision;

pub use crate::model::comparison::{Stage, Verdict};
