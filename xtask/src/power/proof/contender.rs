//! The compared rules: ours and those of other projects, each on its own order of measurements.
//!
//! The other rules get as many runs of each arm as ours needs for both stages at their shortest: 180 with three runs per block
//! and 540 with nine. Ours ends sooner without a difference. Only the decision of each project is used, without the machinery
//! around it, and every threshold applies in both directions.

use statrs::distribution::{ContinuousCDF, Normal};

use super::bootstrap::{mean, mean_change, permutation_p, pooled_p, rank_sum, welch};
use super::{Apart, Pair, Random, Source};
use featherweight::compare::rule::{Judge, Next, Rule, Verdict, block_difference};
use featherweight::model::units::Direction;
use featherweight::stats::{Level, Sample, hodges_lehmann, sign_flip};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contender {
    /// Against a stored baseline: bootstrapped t with p < 0.05, and the 95 % interval of the mean's change beyond 1 % (criterion
    /// 0.8, `analysis/compare.rs` and `report.rs`, default configuration).
    StoredBootstrap,
    /// The same with both arms measured back to back.
    BackToBack,
    /// A, then B: permutation of the difference of means with p < 0.01, and a change of more than 5 % (Firecracker's
    /// `tools/ab_test.py`, without its retries).
    Permutation,
    /// A, then B: the Mann-Whitney test with a two-sided p < 0.05 (benchstat's).
    RankSum,
    /// Against a stored value: the mean of 20 runs outside of a band of 20 % (Kata's checkmetrics).
    Band,
    /// Against the last stored value: a ratio of more than 200 % (github-action-benchmark's default).
    Ratio,
    /// Interleaved blocks as ours, 60 of them in one stage: the sign-flip test with p <= 0.02, no tolerance.
    OneStage,
    /// Ours: the rule that suits the trials, such as [`Rule::DEFAULT`].
    Ours,
}

/// A rule's decision about arm two compared with arm one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Arm two is slower.
    Slower,
    /// Arm two is faster.
    Faster,
    /// No difference.
    Nothing,
}

/// The outcome of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The decision.
    pub call: Call,
    /// The number of trials.
    pub trials: usize,
}

/// The blocks of the other interleaved rule.
const BLOCKS: usize = Rule::DEFAULT.first + Rule::DEFAULT.second.0;
/// The runs of each arm that Kata's gate uses.
const FEW: usize = 20;

impl Call {
    /// The decision about arm one compared with arm two.
    pub fn mirrored(self) -> Call {
        match self {
            Call::Slower => Call::Faster,
            Call::Faster => Call::Slower,
            Call::Nothing => Call::Nothing,
        }
    }

    /// The decision by a threshold in both directions.
    fn beyond(value: f64, threshold: f64) -> Call {
        match value {
            v if v > threshold => Call::Slower,
            v if v < -threshold => Call::Faster,
            _ => Call::Nothing,
        }
    }

    fn only_if(self, holds: bool) -> Call {
        if holds { self } else { Call::Nothing }
    }
}

impl Contender {
    /// All rules, ours last.
    pub const ALL: [Contender; 8] = [
        Contender::StoredBootstrap,
        Contender::BackToBack,
        Contender::Permutation,
        Contender::RankSum,
        Contender::Band,
        Contender::Ratio,
        Contender::OneStage,
        Contender::Ours,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Contender::StoredBootstrap => "stored baseline, bootstrap (criterion)",
            Contender::BackToBack => "back to back, bootstrap (criterion)",
            Contender::Permutation => "A then B, permutation and 5 % (Firecracker)",
            Contender::RankSum => "A then B, rank-sum (benchstat)",
            Contender::Band => "stored value, band of 20 % (Kata)",
            Contender::Ratio => "stored value, 200 % (github-action-benchmark)",
            Contender::OneStage => "interleaved, one stage",
            Contender::Ours => "ours: interleaved, confirmed",
        }
    }

    /// Its name in figures.
    pub fn short(self) -> &'static str {
        match self {
            Contender::StoredBootstrap => "stored bootstrap",
            Contender::BackToBack => "back to back",
            Contender::Permutation => "permutation, 5 %",
            Contender::RankSum => "rank-sum",
            Contender::Band => "band of 20 %",
            Contender::Ratio => "200 %",
            Contender::OneStage => "one stage",
            Contender::Ours => "ours",
        }
    }

    fn apart(self) -> Apart {
        match self {
            Contender::StoredBootstrap | Contender::Band | Contender::Ratio => Apart::Stored,
            _ => Apart::AtOnce,
        }
    }

    fn is_interleaved(self) -> bool {
        matches!(self, Contender::OneStage | Contender::Ours)
    }

    fn runs(self, rule: &Rule) -> usize {
        if self == Contender::Band { FEW } else { BLOCKS * rule.runs }
    }

    /// One session; `None` if the source has too few values.
    pub(super) fn session(self, source: &mut dyn Source, random: &mut Random) -> Option<Outcome> {
        let rule = source.rule();
        if self == Contender::Ours {
            let (call, differences) = judged(rule, || difference(source, random))?;
            return Some(Outcome { call, trials: 2 * rule.runs * differences.len() });
        }
        if self.is_interleaved() {
            let differences = differences(source, BLOCKS, random)?;
            let p = |sign: f64| sign_flip(&differences.iter().map(|d| sign * d).collect::<Vec<_>>(), 0.0);
            let call = if p(1.0) <= rule.alpha { Call::Slower } else { Call::Faster.only_if(p(-1.0) <= rule.alpha) };
            return Some(Outcome { call, trials: 2 * BLOCKS * rule.runs });
        }
        let runs = self.runs(&rule);
        let pair = source.windows(runs, self.apart(), random)?;
        Some(Outcome { call: self.decision_on(&pair, random), trials: 2 * runs })
    }

    fn decision_on(self, pair: &Pair, random: &mut Random) -> Call {
        let (a, b) = (pair.a.as_slice(), pair.b.as_slice());
        // On the scale of logarithms, a threshold has the same distance in both directions.
        let change = (mean(b) / mean(a)).ln();
        match self {
            Contender::StoredBootstrap | Contender::BackToBack => {
                if pooled_p(a, b, random) >= 0.05 {
                    return Call::Nothing;
                }
                let (low, high) = mean_change(a, b, random);
                let nearer = if low > 0.0 { low } else { high.min(0.0) };
                Call::beyond(nearer, 0.01)
            }
            Contender::Permutation => {
                let far = Call::beyond(change, 0.05f64.ln_1p());
                far.only_if(far != Call::Nothing && permutation_p(a, b, random) < 0.01)
            }
            Contender::RankSum => Call::beyond(rank_sum(a, b), Normal::standard().inverse_cdf(0.975)),
            Contender::Band => Call::beyond(change, 0.20f64.ln_1p()),
            Contender::Ratio => Call::beyond(change, 2f64.ln()),
            Contender::OneStage | Contender::Ours => Call::Nothing,
        }
    }

    /// The evidence of a session of fixed length for "two is slower" and for "two is faster", for curves over all thresholds. Only
    /// the order of the numbers has a meaning.
    pub(super) fn strengths(self, source: &mut dyn Source, random: &mut Random) -> Option<[f64; 2]> {
        let both = |strength: f64| [strength, -strength];
        if self.is_interleaved() {
            let differences = differences(source, BLOCKS, random)?;
            let mirrored: Vec<f64> = differences.iter().map(|d| -d).collect();
            return Some(match self {
                Contender::Ours => [&differences, &mirrored].map(|all| strictness(&source.rule(), all)),
                _ => both(-sign_flip(&differences, 0.0).ln() + sign_flip(&mirrored, 0.0).ln()),
            });
        }
        let Pair { a, b } = source.windows(self.runs(&source.rule()), self.apart(), random)?;
        Some(both(match self {
            Contender::RankSum => rank_sum(&a, &b),
            Contender::Band | Contender::Ratio => (mean(&b) / mean(&a)).ln(),
            _ => welch(&a, &b),
        }))
    }
}

/// The differences of `blocks` blocks.
pub(super) fn differences(source: &mut dyn Source, blocks: usize, random: &mut Random) -> Option<Vec<f64>> {
    (0..blocks).map(|_| difference(source, random)).collect()
}

pub(super) fn difference(source: &mut dyn Source, random: &mut Random) -> Option<f64> {
    let pair = source.block(source.rule().runs, random)?;
    block_difference(Direction::Lower, &pair.a, &pair.b)
}

/// A session of our rule on the differences of blocks: its decision and the differences. `None` without any block.
pub(super) fn judged(rule: Rule, mut next: impl FnMut() -> Option<f64>) -> Option<(Call, Vec<f64>)> {
    let mut judge = Judge::new(rule);
    let mut differences = Vec::new();
    let decision = loop {
        let stage = match judge.next() {
            Next::Done(decision) => break decision,
            Next::Measure(stage, _) => stage,
        };
        let Some(difference) = next() else { break judge.decision() };
        judge.push(stage, difference);
        differences.push(difference);
    };
    let call = match decision.verdict {
        Verdict::Regressed => Call::Slower,
        Verdict::Improved => Call::Faster,
        _ => Call::Nothing,
    };
    (!differences.is_empty()).then_some((call, differences))
}

/// How much stricter our rule could be and still decide "slower". 1 is the rule itself; `s` raises both p to the power of `s` and
/// multiplies the floor by `s`.
fn strictness(rule: &Rule, differences: &[f64]) -> f64 {
    let (first, second) = differences.split_at(rule.first.min(differences.len()));
    let power = |values: &[f64], alpha: f64| sign_flip(values, rule.bound()).ln() / alpha.ln();
    let shift = Sample::new(differences.to_vec()).map_or(0.0, |all| hodges_lehmann(&all, Level::P98).value);
    power(first, rule.futility).min(power(second, rule.alpha)).min(shift / rule.floor.ln_1p())
}
