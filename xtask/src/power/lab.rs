//! Many sessions in parallel, with the same outcomes for any number of threads.

use std::thread;

use crate::power::proof::{Contender, Outcome, Random, Tally, hold};

/// The number of sessions, and their seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lab {
    /// Sessions per rule and cell of a table.
    pub(super) sessions: usize,
    /// The seed of all random numbers.
    pub(super) seed: u64,
}

/// The most threads: the host may be measuring at the same time.
const THREADS: usize = 8;

impl Lab {
    /// The outcomes of `sessions` sessions in order, without those whose source was too short. Each `label` has its own random
    /// numbers, so that cells are independent.
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

/// The 64-bit FNV-1a hash.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_in_order_and_labels_make_them_independent() {
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
