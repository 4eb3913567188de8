//! Random numbers: a ChaCha8 stream with the distributions that the rules and models need.
//!
//! Invariant: seed and stream determine every number, so a table can be computed again.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream number `stream` of that seed. Streams of one seed are independent of each other.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of `0..n`; 0 if that is empty. The bias is below 2^-32 per value.
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// Heads or tails.
    pub fn flip(&mut self) -> bool {
        self.0.next_u32() >> 31 == 1
    }

    /// A standard normal number (Box & Muller 1958, 10.1214/aoms/1177706645).
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (self.unit(), self.unit());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// An exponential number with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Shuffles by Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(mut draw: impl FnMut(&mut Random) -> f64) -> f64 {
        let mut random = Random::new(7, 0);
        (0..20_000).map(|_| draw(&mut random)).sum::<f64>() / 20_000.0
    }

    #[test]
    fn the_distributions_have_their_moments() {
        assert!((mean(Random::unit) - 0.5).abs() < 0.01);
        assert!(mean(Random::normal).abs() < 0.03);
        assert!((mean(|r| r.normal().powi(2)) - 1.0).abs() < 0.05);
        assert!((mean(Random::exponential) - 1.0).abs() < 0.03);
        assert!((mean(|r| f64::from(r.flip())) - 0.5).abs() < 0.02);
        assert!((mean(|r| r.below(5) as f64) - 2.0).abs() < 0.05);
    }

    #[test]
    fn streams_of_a_seed_differ_and_repeat() {
        let draw = |seed, stream| Random::new(seed, stream).unit();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert!(draw(1, 2) != draw(1, 3) && draw(1, 2) != draw(2, 2));
        assert_eq!(Random::new(1, 1).below(0), 0);
    }
}
