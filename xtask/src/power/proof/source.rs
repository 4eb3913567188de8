//! The sources of a session's values: simulated noise, a recording of one arm, a recording of two arms.

use super::{NoiseModel, Random, Recording, Stream};
use featherweight::compare::rule::Rule;

/// Values of both arms, each in the order of measurement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pair {
    /// The values of A.
    pub a: Vec<f64>,
    /// The values of B.
    pub b: Vec<f64>,
}

/// The distance between two windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// B right after A.
    AtOnce,
    /// A long before B: a stored baseline.
    Stored,
}

/// A source of measurements for a rule.
pub trait Source {
    /// Our rule for trials of this duration.
    fn rule(&self) -> Rule {
        Rule::DEFAULT
    }

    /// The next `runs` runs of each arm in shuffled order; `None` at the end of a recording.
    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair>;

    /// `runs` runs of A, then `runs` of B; `None` if a recording is too short.
    fn windows(&mut self, runs: usize, apart: Apart, random: &mut Random) -> Option<Pair>;
}

/// Assigns values to arms in shuffled order, as a session does with the runs of a block.
fn assigned<const ARMS: usize>(
    values: impl Iterator<Item = f64>,
    runs: usize,
    random: &mut Random,
) -> [Vec<f64>; ARMS] {
    let mut arms: Vec<usize> = (0..ARMS * runs).map(|i| i / runs).collect();
    random.shuffle(&mut arms);
    let mut assigned = [const { Vec::new() }; ARMS];
    for (arm, value) in arms.into_iter().zip(values) {
        assigned[arm].push(value);
    }
    assigned
}

fn times(effect: f64, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    values.into_iter().map(|value| effect * value).collect()
}

/// A recording from a random place. The first item follows the last one, until each has been taken once.
#[derive(Debug, Clone)]
struct Ring<'r, T> {
    items: &'r [T],
    next: usize,
    left: usize,
}

impl<'r, T> Ring<'r, T> {
    fn new(items: &'r [T], random: &mut Random) -> Self {
        Self { items, next: random.below(items.len()), left: items.len() }
    }

    /// The next `n` items; `None` if fewer are left.
    fn take(&mut self, n: usize) -> Option<impl Iterator<Item = &'r T> + use<'r, T>> {
        self.left = self.left.checked_sub(n)?;
        let from = self.next;
        self.next = (from + n) % self.items.len().max(1);
        Some(self.items[from..].iter().chain(self.items).take(n))
    }

    /// Skips to the place half a recording after the start of the last `taken` items; `None` if too few items are left.
    fn skip_to_other_half(&mut self, taken: usize) -> Option<()> {
        let between = (self.items.len() / 2).checked_sub(taken)?;
        self.take(between).map(drop)
    }
}

/// Noise from a model, with B slower by a known factor.
#[derive(Debug, Clone)]
pub struct Simulated {
    model: NoiseModel,
    stream: Stream,
    effect: f64,
    rule: Rule,
}

impl Simulated {
    /// A host with that model, on which B takes `effect` times as long as A.
    pub fn new(model: NoiseModel, effect: f64, random: &mut Random) -> Self {
        Self { model, stream: Stream::new(model, random), effect, rule: Rule::DEFAULT }
    }

    /// The same with that rule for its trials.
    pub fn by(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }
}

impl Source for Simulated {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair> {
        let values: Vec<f64> = (0..2 * runs).map(|_| self.stream.value(random)).collect();
        let [a, b] = assigned(values.into_iter(), runs, random);
        Some(Pair { a, b: times(self.effect, b) })
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

/// A recording of one arm compared with itself, from a random place. B's values are multiplied by the effect: a synthetic shift,
/// not a measured one.
#[derive(Debug, Clone)]
pub struct Same<'r> {
    values: Ring<'r, f64>,
    effect: f64,
    rule: Rule,
}

impl<'r> Same<'r> {
    /// A session, which may start at any trial.
    pub fn new(values: &'r [f64], effect: f64, random: &mut Random) -> Self {
        Self { values: Ring::new(values, random), effect, rule: Rule::DEFAULT }
    }

    /// The same with that rule for its trials.
    pub fn by(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    /// A block with a null control: `runs` of A, of B, and of A once more.
    pub(super) fn controlled_block(&mut self, runs: usize, random: &mut Random) -> Option<(Pair, Vec<f64>)> {
        let [a, b, null] = assigned(self.values.take(3 * runs)?.copied(), runs, random);
        Some((Pair { a, b: times(self.effect, b) }, null))
    }
}

impl Source for Same<'_> {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair> {
        let [a, b] = assigned(self.values.take(2 * runs)?.copied(), runs, random);
        Some(Pair { a, b: times(self.effect, b) })
    }

    fn windows(&mut self, runs: usize, apart: Apart, _: &mut Random) -> Option<Pair> {
        let a = self.values.take(runs)?.copied().collect();
        if apart == Apart::Stored {
            // Less than the days of a real baseline, which favors the rules with a stored baseline.
            self.values.skip_to_other_half(runs)?;
        }
        Some(Pair { a, b: times(self.effect, self.values.take(runs)?.copied()) })
    }
}

/// A recording of two arms in blocks, from a random block.
#[derive(Debug, Clone)]
pub struct Injected<'r> {
    blocks: Ring<'r, Pair>,
    rule: Rule,
}

impl<'r> Injected<'r> {
    /// A session, which may start at any block. All blocks have the same number of runs.
    pub fn new(blocks: &'r [Pair], random: &mut Random) -> Self {
        Self { blocks: Ring::new(blocks, random), rule: Rule::DEFAULT }
    }

    /// The same with that rule for its trials.
    pub fn by(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    /// The number of blocks with that many runs.
    fn blocks_of(&self, runs: usize) -> Option<usize> {
        Some(runs.div_ceil(self.blocks.items.first()?.a.len().max(1)))
    }

    fn take(&mut self, runs: usize) -> Option<Pair> {
        let mut taken = Pair::default();
        for block in self.blocks.take(self.blocks_of(runs)?)? {
            taken.a.extend_from_slice(&block.a);
            taken.b.extend_from_slice(&block.b);
        }
        taken.a.truncate(runs);
        taken.b.truncate(runs);
        Some(taken)
    }
}

impl Source for Injected<'_> {
    fn rule(&self) -> Rule {
        self.rule
    }

    /// As many consecutive blocks of the recording as the runs need. The arms of each one are already shuffled.
    fn block(&mut self, runs: usize, _: &mut Random) -> Option<Pair> {
        self.take(runs)
    }

    /// A's runs of some blocks, then B's runs of the blocks after them.
    fn windows(&mut self, runs: usize, apart: Apart, _: &mut Random) -> Option<Pair> {
        let early = self.take(runs)?;
        if apart == Apart::Stored {
            self.blocks.skip_to_other_half(self.blocks_of(runs)?)?;
        }
        Some(Pair { a: early.a, b: self.take(runs)?.b })
    }
}

impl Recording {
    /// The blocks with all runs of both arms, in order.
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
