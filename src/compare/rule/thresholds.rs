//! The parameters of the rule.

use serde::{Deserialize, Serialize};

use crate::model::units::Nanos;

/// How blocks become a verdict. Shares are shares of the metric: 0.01 is one percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The share up to which differences do not matter, in either direction.
    pub tolerance: f64,
    /// The least share of a regression, however certain a smaller one is.
    pub floor: f64,
    /// The share of the effect that the second stage is planned to detect.
    pub target: f64,
    /// Runs of each arm in a block.
    pub runs: usize,
    /// Blocks of the first stage.
    pub first: usize,
    /// The session ends after the first stage if p is above this on both sides.
    pub futility: f64,
    /// The second stage confirms if p is at most this.
    pub alpha: f64,
    /// The fewest and the most blocks of the second stage.
    pub second: (usize, usize),
}

/// The standard normal quantiles of `1 - futility`, `1 - alpha` and of a power of 97.5 %.
const Z_FUTILITY: f64 = 0.5244;
const Z_ALPHA: f64 = 2.054;
const Z_POWER: f64 = 1.96;
/// How many times the blocks of a mean the signed-rank test needs, with a margin for tails.
const EFFICIENCY: f64 = 1.15;
/// The margin for a sigma that the first stage underestimates: the median absolute deviation of 30 blocks errs by a fifth,
/// and a host's noise changes from minute to minute. Without it, +5 % was found in 89 of 100 sessions on the recording of
/// youki's boot.
const MARGIN: f64 = 1.3;

/// Below it, a block of nine runs in each of three arms takes less than a second and a half.
const QUICK: Nanos = Nanos(50_000_000);
/// Above it, a block of three runs in each of three arms would take most of a minute.
const SLOW: Nanos = Nanos(5_000_000_000);

impl Rule {
    /// The rule for trials of up to about five seconds.
    pub const DEFAULT: Rule = Rule {
        tolerance: 0.01,
        floor: 0.02,
        target: 0.05,
        runs: 3,
        first: 30,
        futility: 0.30,
        alpha: 0.02,
        second: (30, 160),
    };

    /// The rule for quick trials. More of them in a block cost little, and with medians of nine a block's difference varies
    /// by less than two thirds as much as with medians of three.
    pub const QUICK: Rule = Rule { runs: 9, ..Rule::DEFAULT };

    /// The rule for slow trials: one run of each arm in a block, and fewer blocks.
    pub const SLOW: Rule = Rule { runs: 1, first: 20, second: (20, 120), ..Rule::DEFAULT };

    /// The rule for trials of that time: quick ones below 50 ms, slow ones above 5 s.
    pub fn for_trials_of(time: Nanos) -> Rule {
        match time {
            quick if quick < QUICK => Rule::QUICK,
            slow if slow > SLOW => Rule::SLOW,
            _ => Rule::DEFAULT,
        }
    }

    /// The tolerance on the scale of logarithms.
    pub fn bound(&self) -> f64 {
        self.tolerance.ln_1p()
    }

    /// The blocks of the second stage if a block's difference has the standard deviation `sigma`.
    pub fn second_stage(&self, sigma: f64) -> usize {
        let margin = self.target.ln_1p() - self.bound();
        let blocks = ((Z_ALPHA + Z_POWER) * EFFICIENCY * MARGIN * sigma / margin).powi(2).ceil();
        // A NaN becomes the fewest blocks.
        (blocks as usize).clamp(self.second.0, self.second.1)
    }

    /// The smallest effect, as a share, that a session detects in 97.5 % of its stages at that `sigma`.
    pub fn detectable(&self, sigma: f64) -> f64 {
        let needed = |z: f64, blocks: usize| (z + Z_POWER) * EFFICIENCY * sigma / (blocks as f64).sqrt();
        let stages = needed(Z_FUTILITY, self.first).max(needed(Z_ALPHA, self.second_stage(sigma)));
        (self.bound() + stages).exp_m1().max(self.floor)
    }

    /// The same for two samples of `a` and `b` unpaired values with the standard deviation `sigma`.
    pub fn detectable_unpaired(&self, sigma: f64, a: usize, b: usize) -> f64 {
        let spread = sigma * (1.0 / a as f64 + 1.0 / b as f64).sqrt();
        (self.bound() + (Z_ALPHA + Z_POWER) * EFFICIENCY * spread).exp_m1().max(self.floor)
    }

    /// The most blocks that a session may take.
    pub fn most_blocks(&self) -> usize {
        self.first + self.second.1
    }
}
