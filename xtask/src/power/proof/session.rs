//! Blind sessions: a rule compares arm one with arm two, and which of them is A is looked up afterwards.

use super::{Apart, Call, Contender, Outcome, Pair, Random, Source};
use featherweight::compare::rule::Rule;

/// A source with hidden arms. Only [`Sealed::open`] uses the result of the coin.
struct Sealed<'s> {
    source: &'s mut dyn Source,
    is_swapped: bool,
}

impl<'s> Sealed<'s> {
    fn new(source: &'s mut dyn Source, random: &mut Random) -> Self {
        Self { source, is_swapped: random.flip() }
    }

    fn hidden(&self, pair: Pair) -> Pair {
        if self.is_swapped { Pair { a: pair.b, b: pair.a } } else { pair }
    }

    /// Translates a decision about arm two into one about B.
    fn open<T>(self, plain: T, mirrored: T) -> T {
        if self.is_swapped { mirrored } else { plain }
    }
}

impl Source for Sealed<'_> {
    fn rule(&self) -> Rule {
        self.source.rule()
    }

    fn block(&mut self, runs: usize, random: &mut Random) -> Option<Pair> {
        self.source.block(runs, random).map(|pair| self.hidden(pair))
    }

    fn windows(&mut self, runs: usize, apart: Apart, random: &mut Random) -> Option<Pair> {
        self.source.windows(runs, apart, random).map(|pair| self.hidden(pair))
    }
}

/// One blind session with the rule's decision about B; `None` if the source has too few values.
pub fn hold(rule: Contender, source: &mut dyn Source, random: &mut Random) -> Option<Outcome> {
    let mut sealed = Sealed::new(source, random);
    let outcome = rule.session(&mut sealed, random)?;
    Some(sealed.open(outcome, Outcome { call: outcome.call.mirrored(), ..outcome }))
}

/// The evidence of a blind session of fixed length for "B is slower", for [`super::Roc`].
pub fn score(rule: Contender, source: &mut dyn Source, random: &mut Random) -> Option<f64> {
    let mut sealed = Sealed::new(source, random);
    let [slower, faster] = rule.strengths(&mut sealed, random)?;
    Some(sealed.open(slower, faster))
}

/// The outcomes of many sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// The number of sessions.
    pub sessions: usize,
    /// The number with B reported as slower.
    pub slower: usize,
    /// The number with B reported as faster.
    pub faster: usize,
    /// The trials of all sessions.
    pub trials: usize,
}

impl Tally {
    /// The share of sessions that reported B as slower.
    pub fn alarms(&self) -> f64 {
        self.slower as f64 / self.sessions as f64
    }

    /// The share of sessions that reported a difference in either direction.
    pub fn either(&self) -> f64 {
        (self.slower + self.faster) as f64 / self.sessions as f64
    }

    /// The mean number of trials of a session.
    pub fn cost(&self) -> f64 {
        self.trials as f64 / self.sessions as f64
    }
}

impl FromIterator<Outcome> for Tally {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        outcomes.into_iter().fold(Tally::default(), |tally, outcome| Tally {
            sessions: tally.sessions + 1,
            slower: tally.slower + usize::from(outcome.call == Call::Slower),
            faster: tally.faster + usize::from(outcome.call == Call::Faster),
            trials: tally.trials + outcome.trials,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source with recognizable arms: A is always 1, B always 3.
    struct Scripted;

    impl Source for Scripted {
        fn block(&mut self, runs: usize, _: &mut Random) -> Option<Pair> {
            Some(Pair { a: vec![1.0; runs], b: vec![3.0; runs] })
        }
        fn windows(&mut self, runs: usize, _: Apart, random: &mut Random) -> Option<Pair> {
            self.block(runs, random)
        }
    }

    #[test]
    fn arm_one_is_a_as_often_as_b() {
        let a_is_first = |i| {
            let mut random = Random::new(1, i);
            let (mut one, mut other) = (Scripted, Scripted);
            let first = Sealed::new(&mut one, &mut random).block(3, &mut random).unwrap().a[0];
            let same = Sealed::new(&mut other, &mut Random::new(1, i)).windows(3, Apart::AtOnce, &mut random);
            assert_eq!(first, same.unwrap().a[0]);
            first == 1.0
        };
        let firsts = (0..400).filter(|&i| a_is_first(i)).count();
        assert!((160..240).contains(&firsts), "{firsts}");
    }

    #[test]
    fn the_decision_about_b_does_not_depend_on_the_coin() {
        for i in 0..4 {
            let random = || Random::new(1, i);
            for rule in Contender::ALL {
                let outcome = hold(rule, &mut Scripted, &mut random()).unwrap();
                assert_eq!(outcome.call, Call::Slower, "{rule:?}");
                assert!(score(rule, &mut Scripted, &mut random()).unwrap() > 0.0, "{rule:?}");
            }
        }
    }

    #[test]
    fn a_tally_counts_decisions() {
        let outcome = |call| Outcome { call, trials: 10 };
        let tally: Tally =
            [Call::Slower, Call::Nothing, Call::Faster, Call::Nothing].map(outcome).into_iter().collect();
        assert_eq!((tally.alarms(), tally.either(), tally.cost()), (0.25, 0.5, 10.0));
    }
}
