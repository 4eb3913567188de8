//! The decision on one metric of one case.

use serde::{Deserialize, Serialize};

use crate::model::comparison::Verdict;
use crate::stats::Estimate;

/// A verdict with the numbers behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// How much worse B is than A, as a natural logarithm of the slowdown, with its 98 % interval: 0.05 is about 5 % worse,
    /// whichever direction is an improvement. `None` without a value.
    pub shift: Option<Estimate>,
    /// The p-value of the last stage, on the side of the shift; `None` where nothing was tested.
    pub p: Option<f64>,
    /// The smallest effect, as a share, that would have been detected; `None` where the spread is unknown.
    pub detectable: Option<f64>,
    /// The number of blocks, or of pairs of trials, behind it.
    pub blocks: usize,
    /// Why it is invalid, skipped or inconclusive, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether an arm's trials fail, so that its speed is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

impl Decision {
    /// A decision without numbers: the metric could not be measured or used.
    pub fn without_numbers(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, shift: None, p: None, detectable: None, blocks: 0, reason: Some(reason.into()), failed: false }
    }

    /// The same numbers, which are invalid for `reason`.
    pub fn invalid(self, reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Invalid, reason: Some(reason.into()), ..self }
    }
}
