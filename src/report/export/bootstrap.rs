//! The bootstrap of criterion: the spread of a statistic over resampled trials.
//!
//! Only for a format that requires it. Featherweight's own numbers come from `stats`.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::stats::{Sample, quantile};

/// The number of resamples. An interval's bounds rest on the outer 25 at each end.
const DRAWS: usize = 1_000;

/// A fixed seed, so that the same trials give the same numbers.
const SEED: u64 = 5;

/// The confidence level of intervals.
pub(super) const LEVEL: f64 = 0.95;

/// The spread of a statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// The standard deviation of the statistic.
    pub(super) error: f64,
    /// The lower bound of its [`LEVEL`] interval, by quantiles.
    pub(super) low: f64,
    /// The upper bound.
    pub(super) high: f64,
}

/// Resamples `sample` [`DRAWS`] times and computes all of `statistics` each time. `None` if one of them has no value, or
/// if the sample has only one value and thus no spread.
pub(super) fn bootstrap<const N: usize>(
    sample: &Sample,
    statistics: [fn(&Sample) -> Option<f64>; N],
) -> Option<[Spread; N]> {
    let values = sample.sorted();
    if values.len() < 2 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    // The bias of the remainder is far below the resolution of a thousand draws.
    let mut draw = || values[(random.next_u64() % values.len() as u64) as usize];
    let mut results = [const { Vec::new() }; N];
    for _ in 0..DRAWS {
        let drawn = Sample::new(values.iter().map(|_| draw()).collect()).ok()?;
        for (values, statistic) in results.iter_mut().zip(statistics) {
            values.push(statistic(&drawn)?);
        }
    }
    let spreads: Vec<Spread> = results.into_iter().map(spread).collect::<Option<_>>()?;
    spreads.try_into().ok()
}

fn spread(values: Vec<f64>) -> Option<Spread> {
    let sample = Sample::new(values).ok()?;
    let tail = (1.0 - LEVEL) / 2.0;
    Some(Spread { error: sample.sd()?, low: quantile(&sample, tail), high: quantile(&sample, 1.0 - tail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_the_mean_agrees_with_theory() {
        let sample = Sample::new((0..100).map(f64::from).collect()).unwrap();
        let [mean] = bootstrap(&sample, [|s| Some(s.mean())]).unwrap();
        // The standard deviation of 0 to 99 is 28.9, and that of the mean of a hundred is a tenth of that.
        assert!((2.6..3.2).contains(&mean.error), "{mean:?}");
        assert!(mean.low < 45.5 && 53.5 < mean.high, "{mean:?}");
    }

    #[test]
    fn one_value_has_no_spread() {
        assert_eq!(bootstrap(&Sample::new(vec![1.0]).unwrap(), [|s| Some(s.mean())]), None);
    }
}
