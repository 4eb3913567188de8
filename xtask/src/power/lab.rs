//! Many sessions at once, with the same outcome however many threads there are.

use std::thread;

use crate::power::proof::{Contender, Outcome, Random, Tally, hold};

/// How many sessions, and from which seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lab {
    /// Sessions of a rule in a cell of a table.
    pub(super) sessions: usize,
    /// What every number follows from.
    pub(super) seed: u64,
}

/// No more threads than this: the host may be measuring elsewhere.
const THREADS: usize = 8;

impl Lab {
    /// The outcomes of `sessions` sessions in order, without those that their source was too short for. `label` tells one cell
    /// from another, so that no two share their luck.
    pub(super) fn each<T: Send>(
        self,
        label: &str,
        sessions: usize,
        session: impl Fn(&mut Random) -> Option<T> + Sync,
    ) -> Vec<T> {
        let seed = self.seed ^ fnv(label);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        let part = sessions.div_ceil(threads).max(1);
        let share = |from: usize| -> Vec<T> {
            (from..(from + part).min(sessions)).filter_map(|i| session(&mut Random::new(seed, i as u64))).collect()
        };
        thread::scope(|scope| {
            let running: Vec<_> = (0..sessions)
                .step_by(part)
                .map(|from| {
                    scope.spawn({
                        let share = &share;
                        move || share(from)
                    })
                })
                .collect();
            running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        })
    }

    /// The outcomes of blind sessions of one rule.
    pub(super) fn outcomes<S: crate::power::proof::Source>(
        self,
        label: &str,
        (rule, sessions): (Contender, usize),
        source: impl Fn(&mut Random) -> S + Sync,
    ) -> Vec<Outcome> {
        self.each(&format!("{label} {rule:?}"), sessions, |random| hold(rule, &mut source(random), random))
    }

    /// The tally of blind sessions of one rule.
    pub(super) fn tally<S: crate::power::proof::Source>(
        self,
        label: &str,
        (rule, sessions): (Contender, usize),
        source: impl Fn(&mut Random) -> S + Sync,
    ) -> Tally {
        self.outcomes(label, (rule, sessions), source).into_iter().collect()
    }
}

/// Fowler, Noll and Vo's hash, 1a, 64 bits.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_come_in_order_and_labels_tell_them_apart() {
        let lab = Lab { sessions: 0, seed: 1 };
        let draw = |label| lab.each(label, 37, |random| Some(random.unit()));
        assert_eq!(draw("x").len(), 37);
        assert_eq!(draw("x"), draw("x"));
        assert!(draw("x")[0] != draw("y")[0]);
        let one = Random::new(1 ^ fnv("x"), 36).unit();
        assert_eq!(draw("x")[36], one);
        assert!(lab.each("x", 0, |_| Some(())).is_empty());
    }
}
