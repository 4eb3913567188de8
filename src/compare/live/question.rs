//! The question that a session answers.

use serde::{Deserialize, Serialize};

use super::metric::MetricSelection;
use crate::compare::rule::Rule;
use crate::model::configuration::Configuration;
use crate::model::units::Nanos;
use crate::platform::arm::Arm;

/// The two arms, what they measure, and the rule that judges them.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The arm to compare with.
    pub a: Arm,
    /// The arm in question.
    pub b: Arm,
    /// What to measure. Its platforms are the arms', and its seed decides the order.
    pub configuration: Configuration,
    /// The metrics to judge.
    pub metrics: MetricSelection,
    /// The parameters of the rule that the user set.
    pub overrides: RuleOverrides,
    /// Whether A is measured twice.
    pub null_control: bool,
    /// The number of blocks of every case to measure without judging them.
    pub record: Option<u32>,
}

/// The parameters of the rule that the user set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleOverrides {
    /// The share up to which differences do not matter.
    pub tolerance: Option<f64>,
    /// Blocks of the first stage.
    pub blocks: Option<usize>,
    /// Runs of each arm in a block.
    pub runs: Option<usize>,
}

impl RuleOverrides {
    /// The rule for trials that take `trial` each.
    ///
    /// The floor and the target scale with the tolerance: with twice the tolerance, the smallest regression is twice as
    /// large.
    pub fn rule(&self, trial: Nanos) -> Rule {
        let usual = Rule::for_trials_of(trial);
        let tolerance = self.tolerance.unwrap_or(usual.tolerance);
        let scale = tolerance / usual.tolerance;
        Rule {
            tolerance,
            floor: usual.floor * scale,
            target: usual.target * scale,
            first: self.blocks.unwrap_or(usual.first),
            runs: self.runs.unwrap_or(usual.runs),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_moves_the_floor_and_the_target_with_it() {
        let rule = |millis: u64| RuleOverrides::default().rule(Nanos(millis * 1_000_000));
        assert_eq!([49, 50, 5_000, 5_001].map(rule), [Rule::QUICK, Rule::DEFAULT, Rule::DEFAULT, Rule::SLOW]);
        let wide = RuleOverrides { tolerance: Some(0.02), blocks: Some(12), runs: None }.rule(Nanos::SECOND);
        assert_eq!((wide.tolerance, wide.floor, wide.target, wide.first, wide.runs), (0.02, 0.04, 0.1, 12, 3));
    }
}
