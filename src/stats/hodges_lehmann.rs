//! The Hodges-Lehmann estimate of the center of a sample, with the interval of the signed-rank test. The estimate is the
//! median of the Walsh averages: the averages of all pairs of values, including each value with itself.
//!
//! Invariant: shifting or scaling the sample shifts or scales estimate and interval in the same way. The result is exact for
//! every size. Averages are counted and not stored, so 100,000 values take a fraction of a second and no memory.
//! Hodges & Lehmann 1963 (10.1214/aoms/1177704172).

use super::rank::signed_rank_depth;
use super::select::Ranked;
use super::{Estimate, Level, Sample};

/// Estimates the center of a sample with the interval of the signed-rank test.
///
/// Assumes a symmetric distribution, which differences of interleaved pairs have by design. The interval is `None` with
/// fewer than 6 values at 95 %, or 7 at 98 %.
pub fn hodges_lehmann(sample: &Sample, level: Level) -> Estimate {
    walsh_estimate(sample.sorted(), level)
}

/// The same for ascending values, some of which may be positive infinity.
pub(super) fn walsh_estimate(sorted: &[f64], level: Level) -> Estimate {
    let n = sorted.len();
    let averages = Ranked {
        count: n * (n + 1) / 2,
        low: sorted[0],
        high: sorted[n - 1],
        at_most: |limit| averages_at_most(sorted, limit),
    };
    let depth = signed_rank_depth(n, level);
    let interval = depth.map(|k| level.interval(averages.nth(k), averages.nth_from_top(k)));
    Estimate { value: averages.median(), interval }
}

/// The number of Walsh averages that do not exceed the limit. Takes linear time, since the values ascend.
fn averages_at_most(sorted: &[f64], limit: f64) -> usize {
    let mut end = sorted.len();
    let mut count = 0;
    for (i, a) in sorted.iter().enumerate() {
        while end > i && 0.5 * a + 0.5 * sorted[end - 1] > limit {
            end -= 1;
        }
        if end <= i {
            break;
        }
        count += end - i;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::fixture;

    fn estimate(values: &[f64]) -> Estimate {
        hodges_lehmann(&Sample::new(values.to_vec()).unwrap(), Level::P95)
    }

    #[test]
    fn the_center_agrees_with_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/hodges_lehmann.json")) {
            let estimate = hodges_lehmann(&case.sample("values"), case.level());
            case.close("value", estimate.value);
            case.interval("interval", estimate.interval);
        }
    }

    #[test]
    fn a_hundred_thousand_values_need_no_table_of_averages() {
        let values: Vec<f64> = (0..100_000).map(f64::from).collect();
        let estimate = estimate(&values);
        assert_eq!(estimate.value, 49_999.5);
        assert!(estimate.interval.is_some_and(|i| i.contains(49_999.5) && i.high - i.low < 400.0));
    }

    proptest! {
        #[test]
        fn the_center_is_the_median_of_all_averages(values in prop::collection::vec(-1e6..1e6f64, 1..30)) {
            let mut averages = Vec::new();
            for (i, a) in values.iter().enumerate() {
                averages.extend(values[i..].iter().map(|b| 0.5 * a + 0.5 * b));
            }
            averages.sort_unstable_by(f64::total_cmp);
            let estimate = estimate(&values);
            prop_assert_eq!(estimate.value, crate::stats::quantile::median_of_sorted(&averages));
            for end in estimate.interval.iter().flat_map(|i| [i.low, i.high]) {
                prop_assert!(averages.contains(&end));
            }
        }

        #[test]
        fn the_interval_contains_the_estimate(values in prop::collection::vec(-1e6..1e6f64, 6..120)) {
            let estimate = estimate(&values);
            prop_assert!(estimate.interval.unwrap().contains(estimate.value));
        }

        #[test]
        fn mirroring_the_values_mirrors_the_estimate(values in prop::collection::vec(-1e6..1e6f64, 6..60)) {
            let mirrored: Vec<f64> = values.iter().map(|v| -v).collect();
            let (a, b) = (estimate(&values), estimate(&mirrored));
            prop_assert_eq!(a.value, -b.value);
            prop_assert_eq!(a.interval.unwrap().low, -b.interval.unwrap().high);
        }

        #[test]
        fn scaling_by_a_power_of_two_scales_the_estimate(values in prop::collection::vec(-1e6..1e6f64, 1..60)) {
            let scaled: Vec<f64> = values.iter().map(|v| 1024.0 * v).collect();
            prop_assert_eq!(1024.0 * estimate(&values).value, estimate(&scaled).value);
        }
    }
}
