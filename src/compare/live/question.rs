//! What a session is asked.

use serde::{Deserialize, Serialize};

use super::metric::MetricSelection;
use crate::compare::rule::Rule;
use crate::model::configuration::Configuration;
use crate::model::units::Nanos;
use crate::platform::arm::Arm;

/// What is compared, on what, by which rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is compared with.
    pub a: Arm,
    /// What is asked about.
    pub b: Arm,
    /// What is measured; its platforms are the arms', and its seed decides the order.
    pub configuration: Configuration,
    /// Which metrics are judged.
    pub metrics: MetricSelection,
    /// The numbers of the rule that were asked for.
    pub asked: RuleOverrides,
    /// Whether A is measured twice.
    pub null_control: bool,
    /// Measure so many blocks of every case, and judge none.
    pub record: Option<u32>,
}

/// The numbers of the rule as far as they were asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleOverrides {
    /// Differences up to this share are of no interest.
    pub tolerance: Option<f64>,
    /// Blocks of the first stage.
    pub blocks: Option<usize>,
    /// Runs of each arm in a block.
    pub runs: Option<usize>,
}

impl RuleOverrides {
    /// The rule for trials that take so long each.
    ///
    /// The floor and the target keep their distance from the tolerance: with twice the tolerance, a regression is twice as
    /// large at the least.
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
        let of = |millis: u64| RuleOverrides::default().rule(Nanos(millis * 1_000_000));
        assert_eq!([49, 50, 5_000, 5_001].map(of), [Rule::QUICK, Rule::DEFAULT, Rule::DEFAULT, Rule::SLOW]);
        let wide = RuleOverrides { tolerance: Some(0.02), blocks: Some(12), runs: None }.rule(Nanos::SECOND);
        assert_eq!((wide.tolerance, wide.floor, wide.target, wide.first, wide.runs), (0.02, 0.04, 0.1, 12, 3));
    }
}
