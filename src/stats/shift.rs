//! The shift between two unpaired samples.
//!
//! Invariant: exchanging the samples negates estimate and interval. The result is exact for every size, since differences are
//! counted and not stored. Hodges & Lehmann 1963 (10.1214/aoms/1177704172).

use super::rank::mann_whitney_depth;
use super::select::Ranked;
use super::{Estimate, Level, Sample};

/// The median of all differences `to - from`, with the interval of the Mann-Whitney test.
///
/// The interval is `None` with too few values for the level. At 95 %, it needs at least 4 and 4, or 3 and 5.
pub fn shift(from: &Sample, to: &Sample, level: Level) -> Estimate {
    let (a, b) = (from.sorted(), to.sorted());
    let differences = Ranked {
        count: a.len() * b.len(),
        low: to.min() - from.max(),
        high: to.max() - from.min(),
        at_most: |limit| differences_at_most(a, b, limit),
    };
    let depth = mann_whitney_depth(a.len(), b.len(), level);
    let interval = depth.map(|k| level.interval(differences.nth(k), differences.nth_from_top(k)));
    Estimate { value: differences.median(), interval }
}

/// The number of differences `b - a` that do not exceed the limit. Takes linear time, since both ascend.
fn differences_at_most(a: &[f64], b: &[f64], limit: f64) -> usize {
    let mut end = 0;
    let mut count = 0;
    for x in a {
        while end < b.len() && b[end] - x <= limit {
            end += 1;
        }
        count += end;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::fixture;
    use crate::stats::quantile::median_of_sorted;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.to_vec()).unwrap()
    }

    fn values(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(-1e6..1e6f64, len)
    }

    #[test]
    fn a_shift_agrees_with_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/shift.json")) {
            let estimate = shift(&case.sample("from"), &case.sample("to"), case.level());
            case.close("value", estimate.value);
            case.interval("interval", estimate.interval);
        }
    }

    proptest! {
        #[test]
        fn the_shift_is_the_median_of_all_differences(from in values(1..20), to in values(1..20)) {
            let mut all: Vec<f64> = from.iter().flat_map(|a| to.iter().map(move |b| b - a)).collect();
            all.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(shift(&sample(&from), &sample(&to), Level::P95).value, median_of_sorted(&all));
        }

        #[test]
        fn exchanging_the_samples_negates_the_shift(from in values(4..20), to in values(4..20)) {
            let forward = shift(&sample(&from), &sample(&to), Level::P95);
            let back = shift(&sample(&to), &sample(&from), Level::P95);
            prop_assert_eq!(forward.value, -back.value);
            let (forward, back) = (forward.interval.unwrap(), back.interval.unwrap());
            prop_assert_eq!((forward.low, forward.high), (-back.high, -back.low));
        }

        #[test]
        fn the_interval_contains_the_shift(from in values(4..12), to in values(4..300)) {
            let estimate = shift(&sample(&from), &sample(&to), Level::P95);
            prop_assert!(estimate.interval.unwrap().contains(estimate.value));
        }
    }
}
