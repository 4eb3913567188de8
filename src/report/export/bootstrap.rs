//! The bootstrap, as criterion has it: what a statistic does when the trials are drawn again.
//!
//! Only for a format that asks for such numbers; what Featherweight itself says stands on `src/stats/mod.rs`.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::stats::{Sample, quantile};

/// How often the trials are drawn again. The bounds of an interval stand on the outer 25 on each side.
const DRAWS: usize = 1_000;

/// The same trials give the same numbers.
const SEED: u64 = 5;

/// How sure an interval is.
pub(super) const LEVEL: f64 = 0.95;

/// What a statistic did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// The standard deviation of the statistic.
    pub(super) error: f64,
    /// Its [`LEVEL`] interval, by quantiles.
    pub(super) low: f64,
    /// The upper end.
    pub(super) high: f64,
}

/// Draws as many values from `sample` as it has, [`DRAWS`] times, and looks at all of `statistics` each time. `None`
/// where one of them has no value or the sample is of one value, which has no spread.
pub(super) fn bootstrap<const N: usize>(
    sample: &Sample,
    statistics: [fn(&Sample) -> Option<f64>; N],
) -> Option<[Spread; N]> {
    let values = sample.sorted();
    if values.len() < 2 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    // The bias of a remainder is far below what a thousand draws can show.
    let mut draw = || values[(random.next_u64() % values.len() as u64) as usize];
    let mut found = [const { Vec::new() }; N];
    for _ in 0..DRAWS {
        let drawn = Sample::new(values.iter().map(|_| draw()).collect()).ok()?;
        for (found, statistic) in found.iter_mut().zip(statistics) {
            found.push(statistic(&drawn)?);
        }
    }
    let spreads: Vec<Spread> = found.into_iter().map(spread).collect::<Option<_>>()?;
    spreads.try_into().ok()
}

fn spread(found: Vec<f64>) -> Option<Spread> {
    let found = Sample::new(found).ok()?;
    let tail = (1.0 - LEVEL) / 2.0;
    Some(Spread { error: found.sd()?, low: quantile(&found, tail), high: quantile(&found, 1.0 - tail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_as_uncertain_as_theory_says() {
        let sample = Sample::new((0..100).map(f64::from).collect()).unwrap();
        let [mean] = bootstrap(&sample, [|s| Some(s.mean())]).unwrap();
        // The standard deviation of 0 to 99 is 28.9, and of the mean of a hundred a tenth of that.
        assert!((2.6..3.2).contains(&mean.error), "{mean:?}");
        assert!(mean.low < 45.5 && 53.5 < mean.high, "{mean:?}");
    }

    #[test]
    fn one_value_has_no_spread() {
        assert_eq!(bootstrap(&Sample::new(vec![1.0]).unwrap(), [|s| Some(s.mean())]), None);
    }
}
