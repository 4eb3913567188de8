//! One metric of one case, judged block by block.
//!
//! Two stages with the second's blocks of their own: the first only asks whether there is anything to confirm, so that a
//! false alarm has to happen twice. A stage ends early where what is left of it could not change its answer any more,
//! which costs no error rate (curtailment: Lan, Simon & Halperin 1982, 10.1080/07474948208836014).

use super::{Decision, Rule, Stage, Verdict};
use crate::model::units::Direction;
use crate::stats::{self, Level, Sample, hodges_lehmann, sign_flip};

/// How much worse B's runs of a block are than A's, as a natural logarithm of the slowdown of the medians; `None` where an arm
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

/// What a session does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Measure on: this stage takes up to so many blocks more.
    Measure(Stage, usize),
    /// Nothing that could be measured would change it.
    Done(Decision),
}

/// The differences of one metric of one case, in the order of measuring.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    rule: Rule,
    first: Vec<f64>,
    second: Vec<f64>,
}

/// The side on which there may be something.
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

/// A first stage as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Suspicion {
    Open,
    Of(Side),
    None,
}

impl Judge {
    /// A judge without a block.
    pub fn new(rule: Rule) -> Self {
        Self { rule, first: Vec::new(), second: Vec::new() }
    }

    /// Takes the difference of one block; see [`block_difference`]. What comes after the first stage's last block is not
    /// taken: others may have to go on.
    pub fn push(&mut self, stage: Stage, difference: f64) {
        match stage {
            Stage::First if self.first.len() < self.rule.first => self.first.push(difference),
            Stage::First => {}
            Stage::Second => self.second.push(difference),
        }
    }

    /// What to do after the blocks so far.
    pub fn next(&self) -> Next {
        match self.suspicion() {
            Suspicion::Open => Next::Measure(Stage::First, self.rule.first - self.first.len()),
            Suspicion::None => Next::Done(self.without_suspicion()),
            Suspicion::Of(side) => self.confirmation(side),
        }
    }

    /// The ruling as if nothing more could be measured.
    pub fn decision(&self) -> Decision {
        match self.next() {
            Next::Done(decision) => decision,
            Next::Measure(..) => Decision {
                reason: Some("stopped before enough blocks were measured".to_owned()),
                ..self.ruled(Verdict::Inconclusive, None)
            },
        }
    }

    /// Whether these differences, of which all should be none, are taken for some: the null control. The blocks count as
    /// one stage, since how many there are was decided by others.
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
                // More blocks would not lift the suspicion, but they tell the spread that the second stage is planned by.
                0 => Suspicion::Of(side),
                _ => Suspicion::Open,
            };
        }
        let hopeless = SIDES.into_iter().all(|side| p(side, EXTREME) > self.rule.futility);
        if hopeless { Suspicion::None } else { Suspicion::Open }
    }

    fn without_suspicion(&self) -> Decision {
        self.ruled(self.without_difference(), None)
    }

    /// What is said where no difference is shown.
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
        let least = || centre(&extended(&side.of(&self.all()), left, -EXTREME));
        let is_sure = p(-EXTREME) <= self.rule.alpha;
        if is_sure && least() >= self.rule.floor.ln_1p() {
            return Next::Done(self.ruled(side.verdict(), Some(side)));
        }
        if p(EXTREME) > self.rule.alpha || left == 0 {
            return Next::Done(self.ruled(self.without_difference(), Some(side)));
        }
        Next::Measure(Stage::Second, left)
    }

    fn is_shifted(&self, side: Side) -> bool {
        let all = side.of(&self.all());
        !all.is_empty() && centre(&all) >= self.rule.floor.ln_1p()
    }

    fn ruled(&self, verdict: Verdict, confirmed: Option<Side>) -> Decision {
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

/// Stands for a difference beyond any other. Multiples of it stay apart, as untied differences do.
const EXTREME: f64 = 1e280;

/// The values with those that are still to come at their most extreme.
fn extended(values: &[f64], left: usize, extreme: f64) -> Vec<f64> {
    values.iter().copied().chain((1..=left).map(|i| extreme * i as f64)).collect()
}

/// The Hodges-Lehmann centre of values of which there is at least one.
fn centre(values: &[f64]) -> f64 {
    Sample::new(values.to_vec()).map_or(f64::NAN, |sample| hodges_lehmann(&sample, Level::P98).value)
}

/// The standard deviation of one block's difference by its median absolute deviation; `None` below six blocks.
fn sigma(values: &[f64]) -> Option<f64> {
    stats::sigma(&Sample::new(values.to_vec()).ok()?)
}
