//! A seeded shuffle whose result never changes between versions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Shuffles by Fisher and Yates (Durstenfeld's form, CACM 7(7), 1964) over a ChaCha8 stream. Not a library function, since
/// that may change its algorithm, and a stored plan must stay the same forever.
#[derive(Debug)]
pub(crate) struct Shuffler(ChaCha8Rng);

impl Shuffler {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The items in random order.
    pub(crate) fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for last in (1..items.len()).rev() {
            // The bias of a remainder is below 2^-40 for any list that fits a plan.
            let other = (self.0.next_u64() % (last as u64 + 1)) as usize;
            items.swap(last, other);
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_this_order_for_ever() {
        assert_eq!(Shuffler::new(42).shuffled((0..8).collect::<Vec<_>>()), [5, 3, 2, 6, 7, 4, 0, 1]);
    }
}
