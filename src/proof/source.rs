//! Where a session's values come from: drawn noise, a recording of one arm, a recording of two.

use super::{NoiseModel, Random, Recording, Stream};
use crate::regression::Rule;

/// Values of both arms, in the order in which each was measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pair {
    /// What is compared with.
    pub a: Vec<f64>,
    /// What is asked about.
    pub b: Vec<f64>,
}

/// How far apart two windows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// B right after A.
    AtOnce,
    /// A long before B: a stored baseline.
    Stored,
}

/// What a rule can ask to be measured.
pub trait Source {
    /// The rule that suits its trials, by how long they take.
    fn rule(&self) -> Rule {
        Rule::USUAL
    }

    /// `runs` of each arm in shuffled order, after what was measured last; `None` where a recording ends.
    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair>;

    /// `runs` of A, then `runs` of B; `None` where a recording is too short.
    fn windows(&mut self, runs: usize, apart: Apart, random: &mut Random) -> Option<Pair>;
}

/// Splits values by labels in shuffled order, as a session does with the runs of a block; B's are multiplied by `effect`.
fn shuffled(values: impl Iterator<Item = f64>, runs: usize, effect: f64, random: &mut Random) -> Pair {
    let mut labels: Vec<bool> = (0..2 * runs).map(|i| i < runs).collect();
    random.shuffle(&mut labels);
    let mut pair = Pair::default();
    for (is_b, value) in labels.into_iter().zip(values) {
        if is_b { pair.b.push(effect * value) } else { pair.a.push(value) }
    }
    pair
}

/// Noise from a model, B slower by a known factor.
#[derive(Debug, Clone)]
pub struct Simulated {
    model: NoiseModel,
    stream: Stream,
    effect: f64,
}

impl Simulated {
    /// A host of that model on which B takes `effect` times as long as A.
    pub fn new(model: NoiseModel, effect: f64, random: &mut Random) -> Self {
        Self { model, stream: Stream::new(model, random), effect }
    }
}

impl Source for Simulated {
    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair> {
        let values: Vec<f64> = (0..2 * runs).map(|_| self.stream.value(random)).collect();
        Some(shuffled(values.into_iter(), runs, self.effect, random))
    }

    fn windows(&mut self, runs: usize, apart: Apart, random: &mut Random) -> Option<Pair> {
        let a = (0..runs).map(|_| self.stream.value(random)).collect();
        if apart == Apart::Stored {
            self.stream = Stream::new(self.model, random);
        }
        let b = (0..runs).map(|_| self.effect * self.stream.value(random)).collect();
        Some(Pair { a, b })
    }
}

/// A recording of one arm against itself, from a random place on. With an effect other than 1, B's values are multiplied by it:
/// a synthetic shift, not a measured one.
#[derive(Debug, Clone)]
pub struct Same<'r> {
    values: &'r [f64],
    next: usize,
    effect: f64,
    rule: Rule,
}

impl<'r> Same<'r> {
    /// A session that may ask for up to `reach` trials begins where so many are left.
    pub fn new(values: &'r [f64], effect: f64, reach: usize, random: &mut Random) -> Self {
        Self { values, next: random.below(values.len().saturating_sub(reach) + 1), effect, rule: Rule::USUAL }
    }

    /// The same, its trials being judged by that rule.
    pub fn by(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    fn take(&mut self, n: usize) -> Option<&'r [f64]> {
        let taken = self.values.get(self.next..self.next + n)?;
        self.next += n;
        Some(taken)
    }
}

impl Source for Same<'_> {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair> {
        let effect = self.effect;
        Some(shuffled(self.take(2 * runs)?.iter().copied(), runs, effect, random))
    }

    fn windows(&mut self, runs: usize, apart: Apart, random: &mut Random) -> Option<Pair> {
        if apart == Apart::Stored {
            // Half a recording lies between the two: less than the days of a real baseline, which errs on its side.
            let half = self.values.len() / 2;
            self.next = random.below(half.checked_sub(runs)? + 1);
            let a = self.take(runs)?.to_vec();
            self.next += half - runs;
            let b = self.take(runs)?.iter().map(|v| self.effect * v).collect();
            return Some(Pair { a, b });
        }
        let a = self.take(runs)?.to_vec();
        let b = self.take(runs)?.iter().map(|v| self.effect * v).collect();
        Some(Pair { a, b })
    }
}

/// A recording of two arms in blocks, from a random block on.
#[derive(Debug, Clone)]
pub struct Injected<'r> {
    blocks: &'r [Pair],
    next: usize,
    rule: Rule,
}

impl<'r> Injected<'r> {
    /// A session that may ask for up to `reach` blocks begins where so many are left.
    pub fn new(blocks: &'r [Pair], reach: usize, random: &mut Random) -> Self {
        Self { blocks, next: random.below(blocks.len().saturating_sub(reach) + 1), rule: Rule::USUAL }
    }

    /// The same, its trials being judged by that rule.
    pub fn by(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    /// So many runs of one arm from the blocks from `next` on.
    fn take(&mut self, runs: usize, arm: impl Fn(&Pair) -> &[f64]) -> Option<Vec<f64>> {
        let mut taken = Vec::with_capacity(runs);
        while taken.len() < runs {
            taken.extend_from_slice(arm(self.blocks.get(self.next)?));
            self.next += 1;
        }
        taken.truncate(runs);
        Some(taken)
    }
}

impl Source for Injected<'_> {
    fn rule(&self) -> Rule {
        self.rule
    }

    /// A block is made of as many neighbouring blocks of the recording as have its runs: the arms of each are shuffled.
    fn block(&mut self, runs: usize, _: &mut Random) -> Option<Pair> {
        let start = self.next;
        let a = self.take(runs, |block| &block.a)?;
        self.next = start;
        Some(Pair { a, b: self.take(runs, |block| &block.b)? })
    }

    fn windows(&mut self, runs: usize, apart: Apart, random: &mut Random) -> Option<Pair> {
        let start = self.next;
        let a = self.take(runs, |block| &block.a)?;
        let used = self.next - start;
        if apart == Apart::Stored {
            let half = self.blocks.len() / 2;
            let early = random.below(half.checked_sub(used)? + 1);
            self.next = early;
            let a = self.take(runs, |block| &block.a)?;
            self.next = early + half;
            return Some(Pair { a, b: self.take(runs, |block| &block.b)? });
        }
        Some(Pair { a, b: self.take(runs, |block| &block.b)? })
    }
}

impl Recording {
    /// The blocks in which both arms have all their runs, in order.
    pub fn blocks(&self) -> Vec<Pair> {
        let mut blocks: Vec<(u32, Pair)> = Vec::new();
        for trial in &self.trials {
            if blocks.last().is_none_or(|(block, _)| *block != trial.block) {
                blocks.push((trial.block, Pair::default()));
            }
            if let Some((_, pair)) = blocks.last_mut() {
                if trial.is_b { pair.b.push(trial.value) } else { pair.a.push(trial.value) }
            }
        }
        let runs = blocks.iter().map(|(_, pair)| pair.a.len().max(pair.b.len())).max().unwrap_or(0);
        blocks.retain(|(_, pair)| pair.a.len() == runs && pair.b.len() == runs);
        blocks.into_iter().map(|(_, pair)| pair).collect()
    }
}
