//! The words of a comparison that modules above `compare` share: its arms, its stages and its verdicts.

use serde::{Deserialize, Serialize};

use super::names::named_enum;

named_enum! {
    /// The arm that a trial ran in.
    pub enum ArmId ("arm") {
        /// The arm to compare with.
        A = "a",
        /// The arm in question.
        B = "b",
        /// A once more, opened and prepared separately: the null control.
        Null = "null",
    }
}

/// The part of a session that a block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Looks for a possible difference.
    First,
    /// Confirms it, after everything was provisioned anew.
    Second,
}

named_enum! {
    /// The answer for one metric of one case.
    pub enum Verdict ("verdict") {
        /// B is worse, confirmed on separate blocks.
        Regressed = "REGRESSED",
        /// B is better, confirmed on separate blocks.
        Improved = "IMPROVED",
        /// The difference lies inside the tolerance with 98 % confidence.
        Equivalent = "EQUIVALENT",
        /// The blocks show neither a difference nor its absence.
        Inconclusive = "INCONCLUSIVE",
        /// The measurement contradicts itself: a noisy host, or a null control that differs.
        Invalid = "INVALID",
        /// This host cannot measure it.
        Skipped = "SKIPPED",
    }
}
