//! The chance in the frozen runs.

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Evenly from 0 to 1.
    pub(crate) fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About 1, off by about `share`, with the long upper tail that times have.
    pub(crate) fn near_one(&mut self, share: f64) -> f64 {
        let sum: f64 = (0..4).map(|_| self.even()).sum::<f64>() / 4.0 - 0.5;
        let tail = if self.even() > 0.93 { self.even() * share * 3.0 } else { 0.0 };
        1.0 + sum * 3.4 * share + tail
    }
}
