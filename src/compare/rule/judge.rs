//! Judges one metric of one case, block by block.
//!
//! There are two stages with separate blocks. The first only looks for a possible difference, so a false alarm has to
//! happen twice. A stage ends early once its remaining blocks cannot change its answer, which does not affect the error
//! rates (curtailment: Lan, Simon & Halperin 1982, 10.1080/07474948208836014).

use super::{Decision, Rule, Stage, Verdict};
use crate::model::units::Direction;
use crate::stats::{self, Level, Sample, hodges_lehmann, sign_flip};

/// How much worse B's runs of a block are than A's, as a natural logarithm of the slowdown of the medians. `None` if an arm
/// has no value, a value has no logarithm, or neither direction is better.
pub fn block_difference(direction: Direction, a: &[f64], b: &[f64]) -> Option<f64> {
    let sign = match direction {
        Direction::Lower => 1.0,
        Direction::Higher => -1.0,
        Direction::Neutral => return None,
    };
    let log = |values: &[f64]| Some(stats::median(&Sample::new(values.to_vec()).ok()?).ln()).filter(|l| l.is_finite());
    Some(sign * (log(b)? - log(a)?))
}

/// What to measure next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Measure up to this many more blocks of this stage.
    Measure(Stage, usize),
    /// The decision is final.
    Done(Decision),
}

/// The differences of one metric of one case, in the order of measuring.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    rule: Rule,
    first: Vec<f64>,
    second: Vec<f64>,
}

/// The direction of a possible difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Worse,
    Better,
}

const SIDES: [Side; 2] = [Side::Worse, Side::Better];

impl Side {
    fn of(self, values: &[f64]) -> Vec<f64> {
        match self {
            Side::Worse => values.to_vec(),
            Side::Better => values.iter().map(|value| -value).collect(),
        }
    }

    fn verdict(self) -> Verdict {
        match self {
            Side::Worse => Verdict::Regressed,
            Side::Better => Verdict::Improved,
        }
    }
}

/// The result of the first stage so far.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Suspicion {
    Open,
    Of(Side),
    None,
}

impl Judge {
    /// A judge without blocks.
    pub fn new(rule: Rule) -> Self {
        Self { rule, first: Vec::new(), second: Vec::new() }
    }

    /// Adds the difference of one block; see [`block_difference`]. Ignores blocks after the first stage's last one, which
    /// are measured for other metrics.
    pub fn push(&mut self, stage: Stage, difference: f64) {
        match stage {
            Stage::First if self.first.len() < self.rule.first => self.first.push(difference),
            Stage::First => {}
            Stage::Second => self.second.push(difference),
        }
    }

    /// What to measure after the blocks so far.
    pub fn next(&self) -> Next {
        match self.suspicion() {
            Suspicion::Open => Next::Measure(Stage::First, self.rule.first - self.first.len()),
            Suspicion::None => Next::Done(self.without_suspicion()),
            Suspicion::Of(side) => self.confirmation(side),
        }
    }

    /// The decision if nothing more is measured.
    pub fn decision(&self) -> Decision {
        match self.next() {
            Next::Done(decision) => decision,
            Next::Measure(..) => Decision {
                reason: Some("stopped before enough blocks were measured".to_owned()),
                ..self.decide(Verdict::Inconclusive, None)
            },
        }
    }

    /// Whether the differences of a null control, which should all be zero, are significant. The blocks count as one
    /// stage, since other metrics decided their number.
    pub fn differs(&self) -> bool {
        let all = self.all();
        let beyond =
            |side: Side| self.is_shifted(side) && sign_flip(&side.of(&all), self.rule.bound()) <= self.rule.alpha;
        SIDES.into_iter().any(beyond)
    }

    /// How much worse B is so far, with the 98 % interval; `None` without a block.
    pub fn shift(&self) -> Option<stats::Estimate> {
        Some(hodges_lehmann(&Sample::new(self.all()).ok()?, Level::P98))
    }

    fn all(&self) -> Vec<f64> {
        [self.first.as_slice(), &self.second].concat()
    }

    fn suspicion(&self) -> Suspicion {
        let left = self.rule.first.saturating_sub(self.first.len());
        let p =
            |side: Side, extreme: f64| sign_flip(&extended(&side.of(&self.first), left, extreme), self.rule.bound());
        if let Some(side) = SIDES.into_iter().find(|&side| p(side, -EXTREME) <= self.rule.futility) {
            return match left {
                // More blocks would not change the suspicion, but they determine the spread, which plans the second stage.
                0 => Suspicion::Of(side),
                _ => Suspicion::Open,
            };
        }
        let hopeless = SIDES.into_iter().all(|side| p(side, EXTREME) > self.rule.futility);
        if hopeless { Suspicion::None } else { Suspicion::Open }
    }

    fn without_suspicion(&self) -> Decision {
        self.decide(self.without_difference(), None)
    }

    /// The verdict without a significant difference.
    fn without_difference(&self) -> Verdict {
        let bound = self.rule.bound();
        let inside = |interval: stats::Interval| -bound < interval.low && interval.high < bound;
        match self.shift().and_then(|shift| shift.interval) {
            Some(interval) if inside(interval) => Verdict::Equivalent,
            _ => Verdict::Inconclusive,
        }
    }

    fn confirmation(&self, side: Side) -> Next {
        let planned = self.rule.second_stage(sigma(&self.first).unwrap_or(f64::NAN));
        let left = planned.saturating_sub(self.second.len());
        let p = |extreme: f64| sign_flip(&extended(&side.of(&self.second), left, extreme), self.rule.bound());
        let least = || center(&extended(&side.of(&self.all()), left, -EXTREME));
        let is_sure = p(-EXTREME) <= self.rule.alpha;
        if is_sure && least() >= self.rule.floor.ln_1p() {
            return Next::Done(self.decide(side.verdict(), Some(side)));
        }
        if p(EXTREME) > self.rule.alpha || left == 0 {
            return Next::Done(self.decide(self.without_difference(), Some(side)));
        }
        Next::Measure(Stage::Second, left)
    }

    fn is_shifted(&self, side: Side) -> bool {
        let all = side.of(&self.all());
        !all.is_empty() && center(&all) >= self.rule.floor.ln_1p()
    }

    fn decide(&self, verdict: Verdict, confirmed: Option<Side>) -> Decision {
        let shift = self.shift();
        let stage = if confirmed.is_some() { &self.second } else { &self.first };
        let towards = |shift: stats::Estimate| if shift.value < 0.0 { Side::Better } else { Side::Worse };
        let side = confirmed.or(shift.map(towards));
        Decision {
            verdict,
            shift,
            p: side.map(|side| sign_flip(&side.of(stage), self.rule.bound())),
            detectable: sigma(&self.all()).map(|sigma| self.rule.detectable(sigma)),
            blocks: self.first.len() + self.second.len(),
            reason: None,
            failed: false,
        }
    }
}

/// A difference beyond any other. Multiples of it are distinct, like differences without ties.
const EXTREME: f64 = 1e280;

/// The values with the missing ones at their extreme.
fn extended(values: &[f64], left: usize, extreme: f64) -> Vec<f64> {
    values.iter().copied().chain((1..=left).map(|i| extreme * i as f64)).collect()
}

/// The Hodges-Lehmann center of at least one value.
fn center(values: &[f64]) -> f64 {
    Sample::new(values.to_vec()).map_or(f64::NAN, |sample| hodges_lehmann(&sample, Level::P98).value)
}

/// The standard deviation of a block's difference, from the median absolute deviation; `None` below six blocks.
fn sigma(values: &[f64]) -> Option<f64> {
    stats::sigma(&Sample::new(values.to_vec()).ok()?)
}
