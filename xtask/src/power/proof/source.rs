//! Where a session's values come from: drawn noise, a recording of one arm, a recording of two.

use super::{NoiseModel, Random, Recording, Stream};
use featherweight::compare::rule::Rule;

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
        Rule::DEFAULT
    }

    /// `runs` of each arm in shuffled order, after what was measured last; `None` where a recording ends.
    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair>;

    /// `runs` of A, then `runs` of B; `None` where a recording is too short.
    fn windows(&mut self, runs: usize, apart: Apart, random: &mut Random) -> Option<Pair>;
}

/// Deals values out to arms in shuffled order, as a session does with the runs of a block.
fn dealt<const ARMS: usize>(values: impl Iterator<Item = f64>, runs: usize, random: &mut Random) -> [Vec<f64>; ARMS] {
    let mut arms: Vec<usize> = (0..ARMS * runs).map(|i| i / runs).collect();
    random.shuffle(&mut arms);
    let mut dealt = [const { Vec::new() }; ARMS];
    for (arm, value) in arms.into_iter().zip(values) {
        dealt[arm].push(value);
    }
    dealt
}

fn times(effect: f64, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    values.into_iter().map(|value| effect * value).collect()
}

/// A recording from a random place on: behind its last item comes its first, until each has been taken once.
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

    /// The next `n`; `None` where fewer are left.
    fn take(&mut self, n: usize) -> Option<impl Iterator<Item = &'r T> + use<'r, T>> {
        self.left = self.left.checked_sub(n)?;
        let from = self.next;
        self.next = (from + n) % self.items.len().max(1);
        Some(self.items[from..].iter().chain(self.items).take(n))
    }

    /// Goes on to what lies half a recording behind the `taken` items taken last; `None` where that has been taken.
    fn skip_to_other_half(&mut self, taken: usize) -> Option<()> {
        let between = (self.items.len() / 2).checked_sub(taken)?;
        self.take(between).map(drop)
    }
}

/// Noise from a model, B slower by a known factor.
#[derive(Debug, Clone)]
pub struct Simulated {
    model: NoiseModel,
    stream: Stream,
    effect: f64,
    rule: Rule,
}

impl Simulated {
    /// A host of that model on which B takes `effect` times as long as A.
    pub fn new(model: NoiseModel, effect: f64, random: &mut Random) -> Self {
        Self { model, stream: Stream::new(model, random), effect, rule: Rule::DEFAULT }
    }

    /// The same, its trials being judged by that rule.
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
        let [a, b] = dealt(values.into_iter(), runs, random);
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

/// A recording of one arm against itself, from a random place on and round its end. With an effect other than 1, B's values are
/// multiplied by it: a synthetic shift, not a measured one.
#[derive(Debug, Clone)]
pub struct Same<'r> {
    values: Ring<'r, f64>,
    effect: f64,
    rule: Rule,
}

impl<'r> Same<'r> {
    /// A session, which may begin at any trial.
    pub fn new(values: &'r [f64], effect: f64, random: &mut Random) -> Self {
        Self { values: Ring::new(values, random), effect, rule: Rule::DEFAULT }
    }

    /// The same, its trials being judged by that rule.
    pub fn by(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    /// A block with a null control: `runs` of A, of B, and of A once more.
    pub(super) fn controlled_block(&mut self, runs: usize, random: &mut Random) -> Option<(Pair, Vec<f64>)> {
        let [a, b, null] = dealt(self.values.take(3 * runs)?.copied(), runs, random);
        Some((Pair { a, b: times(self.effect, b) }, null))
    }
}

impl Source for Same<'_> {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair> {
        let [a, b] = dealt(self.values.take(2 * runs)?.copied(), runs, random);
        Some(Pair { a, b: times(self.effect, b) })
    }

    fn windows(&mut self, runs: usize, apart: Apart, _: &mut Random) -> Option<Pair> {
        let a = self.values.take(runs)?.copied().collect();
        if apart == Apart::Stored {
            // Less than the days of a real baseline, which errs on its side.
            self.values.skip_to_other_half(runs)?;
        }
        Some(Pair { a, b: times(self.effect, self.values.take(runs)?.copied()) })
    }
}

/// A recording of two arms in blocks, from a random block on and round its end.
#[derive(Debug, Clone)]
pub struct Injected<'r> {
    blocks: Ring<'r, Pair>,
    rule: Rule,
}

impl<'r> Injected<'r> {
    /// A session, which may begin at any block. All blocks have equally many runs.
    pub fn new(blocks: &'r [Pair], random: &mut Random) -> Self {
        Self { blocks: Ring::new(blocks, random), rule: Rule::DEFAULT }
    }

    /// The same, its trials being judged by that rule.
    pub fn by(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    /// How many blocks have so many runs.
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

    /// A block is made of as many neighbouring blocks of the recording as have its runs: the arms of each are shuffled.
    fn block(&mut self, runs: usize, _: &mut Random) -> Option<Pair> {
        self.take(runs)
    }

    /// One arm's runs of interleaved blocks, then the other's of the blocks behind them.
    fn windows(&mut self, runs: usize, apart: Apart, _: &mut Random) -> Option<Pair> {
        let early = self.take(runs)?;
        if apart == Apart::Stored {
            self.blocks.skip_to_other_half(self.blocks_of(runs)?)?;
        }
        Some(Pair { a: early.a, b: self.take(runs)?.b })
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
