//! What can be said of one metric of one case.

use serde::{Deserialize, Serialize};

use crate::model::comparison::Verdict;
use crate::stats::Estimate;

/// A verdict with what it stands on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What is said.
    pub verdict: Verdict,
    /// How much worse B is than A, as a natural logarithm of the slowdown, with its 98 % interval: 0.05 is about 5 % worse,
    /// whichever way the metric improves. `None` without a value.
    pub shift: Option<Estimate>,
    /// The p of the last stage, of the side that the shift is on; `None` where nothing was tested.
    pub p: Option<f64>,
    /// The smallest effect, as a share, that would have been found; `None` where the spread is unknown.
    pub detectable: Option<f64>,
    /// How many blocks, or pairs of trials, stand behind it.
    pub blocks: usize,
    /// Why it is invalid, skipped or inconclusive, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is so because an arm's trials fail: how fast they are cannot be told, but all is not well either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

impl Decision {
    /// A ruling without numbers: what could not be measured, or not be used.
    pub fn without_numbers(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, shift: None, p: None, detectable: None, blocks: 0, reason: Some(reason.into()), failed: false }
    }

    /// The same numbers, of no use for the reason given.
    pub fn invalid(self, reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Invalid, reason: Some(reason.into()), ..self }
    }
}
